#ifndef THRESHER_MERGE_MERGED_SPEC_H_
#define THRESHER_MERGE_MERGED_SPEC_H_

#include <vector>

#include "base/result.h"
#include "merge/part_shard.h"
#include "work/plan.h"
#include "work/run_spec.h"

namespace thresher {

// The run that the parts make together: what they agree in, and as its data set theirs, one after
// another in the order given. A part that was merged itself counts as its own parts, so that it
// does not matter in which steps runs are merged. kFailedPrecondition, naming every field, if the
// parts differ in more than their data sets, or if two have the same one.
Result<RunSpec> MergedSpec(const std::vector<MergePart>& parts);

Plan MergedPlan(const std::vector<MergePart>& parts);

}  // namespace thresher

#endif  // THRESHER_MERGE_MERGED_SPEC_H_
