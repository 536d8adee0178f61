#ifndef THRESHER_MODEL_REFERENCE_FORWARD_H_
#define THRESHER_MODEL_REFERENCE_FORWARD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "graph/hook_point.h"
#include "model/weights.h"

namespace thresher {

// The slow, obvious twin of every engine: the graph's operations in double precision with plain
// loops, one sequence at a time, sharing no code with any engine. For tests. About 10^9
// multiply-adds a second.

// The elements of a parameter, row-major, exactly product(parameter.shape) of them. Called once for
// each time that an operation needs the parameter, so that it need not be kept.
using ParameterLookup = std::function<Result<std::vector<double>>(const Parameter& parameter)>;

// Reads parameters from a checkpoint, every element converted exactly. `weights` must outlive the
// lookup. Fails with the messages of Weights::Find, and if a shape is not the graph's.
ParameterLookup LookupIn(const Weights& weights);

// The values [tokens, width] of the given hook points for one sequence, whose positions count from
// 0. kInvalidArgument if the graph has no such hook point or a token id is outside the vocabulary.
Result<std::map<HookPoint, std::vector<double>>> ReferenceForward(
    const Graph& graph, const ParameterLookup& lookup, std::span<const int32_t> token_ids,
    const std::vector<HookPoint>& hooks);

}  // namespace thresher

#endif  // THRESHER_MODEL_REFERENCE_FORWARD_H_
