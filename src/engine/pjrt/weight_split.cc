#include "engine/pjrt/weight_split.h"

#include <variant>

namespace thresher {

std::vector<Sharding> SplitWeights(const Graph& graph, int64_t devices) {
  std::vector<Sharding> shardings(graph.parameters().size());
  if (devices == 1) return shardings;
  // Whether a value's channels are split.
  std::vector<bool> is_split(graph.values().size(), false);
  const auto split = [&](ValueId value) { is_split[static_cast<size_t>(value)] = true; };
  for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node) {
    if (const auto* attention = std::get_if<Attention>(&node->operation)) {
      if (attention->kv_heads % devices != 0) continue;
      for (const ValueId value : {attention->q, attention->k, attention->v, node->output}) {
        split(value);
      }
    } else if (const auto* gated = std::get_if<GatedSilu>(&node->operation)) {
      if (graph.width(node->output) % devices != 0) continue;
      for (const ValueId value : {gated->gate, gated->up, node->output}) split(value);
    } else if (const auto* rope = std::get_if<Rope>(&node->operation)) {
      if (is_split[static_cast<size_t>(node->output)]) split(rope->input);
    }
  }
  for (const Node& node : graph.nodes()) {
    const auto* linear = std::get_if<Linear>(&node.operation);
    if (linear == nullptr) continue;
    if (is_split[static_cast<size_t>(node.output)]) {
      shardings[static_cast<size_t>(linear->weight)] = {true, false};
      if (linear->bias) shardings[static_cast<size_t>(*linear->bias)] = {true};
    } else if (is_split[static_cast<size_t>(linear->input)]) {
      shardings[static_cast<size_t>(linear->weight)] = {false, true};
    }
  }
  return shardings;
}

}  // namespace thresher
