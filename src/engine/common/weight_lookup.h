#ifndef THRESHER_ENGINE_COMMON_WEIGHT_LOOKUP_H_
#define THRESHER_ENGINE_COMMON_WEIGHT_LOOKUP_H_

#include <functional>

#include "base/result.h"
#include "graph/graph.h"
#include "model/weights.h"

namespace thresher {

// Finds a parameter's tensor, of that shape. The data must outlive the engine.
using WeightLookup = std::function<Result<WeightView>(const Parameter& parameter)>;

}  // namespace thresher

#endif  // THRESHER_ENGINE_COMMON_WEIGHT_LOOKUP_H_
