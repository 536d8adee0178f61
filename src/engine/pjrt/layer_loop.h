#ifndef THRESHER_ENGINE_PJRT_LAYER_LOOP_H_
#define THRESHER_ENGINE_PJRT_LAYER_LOOP_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace thresher {

// A stretch of a graph's nodes that is the same `count` times over but for its weights, and so can
// run as a loop: iteration k is nodes first + k * period to first + (k + 1) * period - 1.
struct LayerLoop {
  size_t first = 0;
  size_t period = 0;
  size_t count = 0;

  size_t end() const { return first + period * count; }

  // Places in an iteration (0 to period - 1) whose value the next iteration reads, or what comes
  // after the loop; ascending.
  std::vector<size_t> carried;
};

// The loop that leaves the fewest nodes to write; nothing if no stretch repeats.
std::optional<LayerLoop> FindLayerLoop(const Graph& graph);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_LAYER_LOOP_H_
