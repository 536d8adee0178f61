#ifndef THRESHER_EXTRACT_PLANNER_H_
#define THRESHER_EXTRACT_PLANNER_H_

#include <cstdint>

#include "base/result.h"
#include "dataset/dataset.h"
#include "dataset/sample_reader.h"
#include "work/plan.h"

namespace thresher {

// Units of about `unit_tokens` tokens over the records `samples`; the plan counts them from 0. Up
// to a few thousand samples are tokenised exactly; of more, a few thousand evenly spread ones, and
// the others are estimated from their records' lengths. Deterministic. kInvalidArgument, with the
// first reason, if none of the samples that were looked at can be used.
Result<Plan> PlanUnits(const Dataset& dataset, const SampleReader& reader, SampleRange samples,
                       int64_t unit_tokens);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_PLANNER_H_
