#include "roofline/batch_estimate.h"

#include <variant>

namespace thresher {
namespace {

constexpr double kWeightBytes = 2;    // bf16
constexpr double kResidualBytes = 4;  // f32

double WeightElements(const Graph& graph) {
  double elements = 0;
  for (const Node& node : graph.nodes()) {
    const auto* linear = std::get_if<Linear>(&node.operation);
    if (!linear) continue;
    elements += static_cast<double>(graph.width(linear->input) * graph.width(node.output));
  }
  return elements;
}

}  // namespace

ChipWork EstimateBatchWork(const BatchEstimateInputs& inputs) {
  const Graph& graph = inputs.pruned;
  double token_bytes = inputs.row_bytes;
  double reduced_bytes = 0;  // of a token
  for (const Node& node : graph.nodes()) {
    const auto width = static_cast<double>(graph.width(node.output));
    if (const auto* linear = std::get_if<Linear>(&node.operation)) {
      token_bytes += kWeightBytes * (width + static_cast<double>(graph.width(linear->input)));
    } else if (std::holds_alternative<Add>(node.operation)) {
      token_bytes += 3 * kResidualBytes * width;
      reduced_bytes += kResidualBytes * width;
    }
  }
  const auto chips = static_cast<double>(inputs.chips);
  return {
      .flops = inputs.flops / chips,
      .memory_bytes = (kWeightBytes * WeightElements(graph) + inputs.tokens * token_bytes) / chips,
      .link_bytes = inputs.tokens * reduced_bytes * 2 * (chips - 1) / chips};
}

std::optional<int64_t> ChipsForModel(const BatchEstimateInputs& inputs, const Chip& chip) {
  constexpr int64_t kMostChips = 8;  // of a host
  constexpr double kUsable = 0.9;
  const double bytes =
      kWeightBytes * WeightElements(inputs.pruned) + 2 * inputs.tokens * inputs.row_bytes;
  for (int64_t chips = 1; chips <= kMostChips; chips *= 2) {
    if (bytes / static_cast<double>(chips) <= kUsable * chip.memory_bytes) return chips;
  }
  return std::nullopt;
}

}  // namespace thresher
