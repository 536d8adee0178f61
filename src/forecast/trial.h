#ifndef THRESHER_FORECAST_TRIAL_H_
#define THRESHER_FORECAST_TRIAL_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/create_engine.h"
#include "forecast/forecast.h"
#include "model/model.h"

namespace thresher {

// The FLOPs of a batch of these sequences; `offsets` as PackedBatch::sequence_offsets.
double BatchFlops(const Graph& pruned, std::span<const int64_t> offsets);

// Runs the model on this machine for a short while. `sequences`: token ids of the data; not empty,
// nor is any of them. After one batch that is not counted, batches of them run in turn until
// `seconds` have passed, at least one. Loads the weights that the hook points need.
Result<TrialSpeed> RunTrial(const Model& model, const std::vector<HookPoint>& hooks,
                            const EngineOptions& options,
                            std::span<const std::vector<int32_t>> sequences, double seconds,
                            Clock& clock);

}  // namespace thresher

#endif  // THRESHER_FORECAST_TRIAL_H_
