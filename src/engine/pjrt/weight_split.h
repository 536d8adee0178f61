#ifndef THRESHER_ENGINE_PJRT_WEIGHT_SPLIT_H_
#define THRESHER_ENGINE_PJRT_WEIGHT_SPLIT_H_

#include <cstdint>
#include <vector>

#include "engine/pjrt/stablehlo_writer.h"
#include "graph/graph.h"

namespace thresher {

// How each parameter of a graph is split over `devices` devices, by parameter id, so that they
// share the work of the linears and of attention: what attention and the gated activation read is
// split by heads and by channels, and the linears behind them sum over the devices. Attention whose
// key/value heads, and gated activations whose width, are no multiple of `devices` are computed by
// every device; so is everything else.
std::vector<Sharding> SplitWeights(const Graph& graph, int64_t devices);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_WEIGHT_SPLIT_H_
