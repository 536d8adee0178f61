#include "compile/program_work.h"

#include <algorithm>
#include <optional>
#include <variant>
#include <vector>

#include "engine/pjrt/attention_writer.h"
#include "engine/pjrt/layer_loop.h"
#include "engine/pjrt/weight_split.h"

namespace thresher {
namespace {

int64_t Elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

double BytesOf(const TensorType& type) {
  return static_cast<double>(Elements(type.shape) * DTypeBytes(type.dtype));
}

// The blocks of scores that the program computes for one attention.
struct ScoreBlocks {
  int64_t queries = 0;  // of a block
  double scores = 0;    // of a head
  bool is_online = false;

  double scores_of_pair() const { return static_cast<double>(queries * queries); }
  // As the compiler counts: of a loop one turn.
  double counted_scores() const { return is_online ? scores_of_pair() : scores; }
};

ScoreBlocks BlocksOf(const Attention& attention, const GraphProgramOptions& options,
                     int64_t sequence_tokens) {
  ScoreBlocks blocks{.is_online = options.has_online_attention()};
  blocks.queries = blocks.is_online ? OnlineAttentionBlock(options.tokens, options.attention_block,
                                                           attention.heads)
                                    : options.attention_block;
  for (int64_t first = 0; first < options.tokens; first += blocks.queries) {
    const int64_t end = std::min(first + blocks.queries, options.tokens);
    int64_t first_key = blocks.is_online ? first / sequence_tokens * sequence_tokens : 0;
    if (attention.window) first_key = std::max(first_key, first - *attention.window + 1);
    const int64_t keys = end - first_key / blocks.queries * blocks.queries;
    blocks.scores += static_cast<double>((end - first) * keys);
  }
  return blocks;
}

// What one chip's compiler does not count: all pairs of blocks of online attention but the first.
struct UncountedAttention {
  double flops = 0;
  double row_bytes = 0;      // of q, k and v
  double on_chip_bytes = 0;  // of scores and running sums
};

UncountedAttention UncountedOf(const Graph& pruned, const GraphProgramOptions& options,
                               int64_t sequence_tokens) {
  UncountedAttention sum;
  for (const Node& node : pruned.nodes()) {
    const auto* attention = std::get_if<Attention>(&node.operation);
    if (!attention) continue;
    const ScoreBlocks blocks = BlocksOf(*attention, options, sequence_tokens);
    if (!blocks.is_online) continue;
    const auto heads = static_cast<double>(attention->heads);
    const auto all_heads = static_cast<double>(attention->heads + 2 * attention->kv_heads);
    const auto head_dim = static_cast<double>(attention->head_dim);
    const double scores = blocks.scores_of_pair();
    const double rows = static_cast<double>(blocks.queries) * head_dim;
    const double pairs = (blocks.scores / scores - 1) / static_cast<double>(options.devices);
    sum.flops += pairs * 4 * scores * heads * head_dim;
    sum.row_bytes += pairs * all_heads * rows * static_cast<double>(DTypeBytes(options.compute));
    sum.on_chip_bytes +=
        pairs * heads * (3 * scores + 2 * rows) * static_cast<double>(DTypeBytes(DType::kF32));
  }
  return sum;
}

// Multiply-add FLOPs of one node as the program computes it.
double ProductFlops(const Graph& graph, const Node& node, const GraphProgramOptions& options) {
  const auto tokens = static_cast<double>(options.tokens);
  if (const auto* linear = std::get_if<Linear>(&node.operation)) {
    return 2 * tokens * static_cast<double>(Elements(graph.parameter(linear->weight).shape));
  }
  const auto* attention = std::get_if<Attention>(&node.operation);
  if (!attention) return 0;
  return 4 * BlocksOf(*attention, options, options.tokens).counted_scores() *
         static_cast<double>(attention->heads * attention->head_dim);
}

double OutsideBytes(const Graph& graph, const Node& node, const GraphProgramOptions& options) {
  const auto rows = [&](ValueId value, DType dtype) {
    return static_cast<double>(options.tokens * graph.width(value) * DTypeBytes(dtype));
  };
  if (std::holds_alternative<Embed>(node.operation)) {
    return rows(node.output, options.embedding) + rows(node.output, DType::kF32);
  }
  const auto* linear = std::get_if<Linear>(&node.operation);
  if (!linear) return 0;
  return BytesOf({options.compute, graph.parameter(linear->weight).shape}) +
         rows(linear->input, options.compute) + rows(node.output, DType::kF32);
}

double AllReduceBytes(const Graph& graph, const GraphProgramOptions& options) {
  const auto devices = static_cast<double>(options.devices);
  const std::vector<Sharding> shardings = SplitWeights(graph, options.devices);
  double bytes = 0;
  for (const Node& node : graph.nodes()) {
    const auto* linear = std::get_if<Linear>(&node.operation);
    if (!linear || shardings[static_cast<size_t>(linear->weight)] != Sharding{false, true})
      continue;
    bytes += 2 * (devices - 1) / devices *
             BytesOf({DType::kF32, {options.tokens, graph.width(node.output)}});
  }
  return bytes;
}

}  // namespace

Result<ChipWork> WorkOfBatch(const Graph& pruned, const GraphProgram& program,
                             const GraphProgramOptions& options, int64_t sequence_tokens,
                             const std::map<std::string, double>& costs) {
  const auto flops = costs.find("flops");
  const auto bytes = costs.find("bytes accessed");
  if (flops == costs.end() || bytes == costs.end()) {
    return Internal("the plug-in's cost analysis has no 'flops' and 'bytes accessed'");
  }
  ChipWork outside;
  if (program.loop_iterations > 1) {
    const std::optional<LayerLoop> loop = FindLayerLoop(pruned);
    const std::vector<Node>& nodes = pruned.nodes();
    for (size_t n = 0; n < nodes.size(); ++n) {
      if (n >= loop->first && n < loop->end()) continue;
      outside.flops += ProductFlops(pruned, nodes[n], options);
      outside.memory_bytes += OutsideBytes(pruned, nodes[n], options);
    }
    constexpr size_t kStackedRank = 3;
    for (const TensorType& result : program.results) {
      if (result.shape.size() == kStackedRank) outside.memory_bytes += BytesOf(result);
    }
    const auto devices = static_cast<double>(options.devices);
    outside.flops /= devices;
    outside.memory_bytes /= devices;
  }
  const ChipWork body{.flops = flops->second - outside.flops,
                      .memory_bytes = bytes->second - outside.memory_bytes};
  if (body.flops <= 0 || body.memory_bytes <= 0) {
    return Internal("the plug-in counts less work than the program has outside of its layer loop");
  }
  const auto iterations = static_cast<double>(program.loop_iterations);
  const UncountedAttention uncounted = UncountedOf(pruned, options, sequence_tokens);
  return ChipWork{
      .flops = outside.flops + iterations * body.flops + uncounted.flops,
      .memory_bytes = outside.memory_bytes + iterations * body.memory_bytes + uncounted.row_bytes,
      .link_bytes = options.devices > 1 ? AllReduceBytes(pruned, options) : 0};
}

double OnChipAttentionBytes(const Graph& pruned, const GraphProgramOptions& options,
                            int64_t sequence_tokens) {
  return UncountedOf(pruned, options, sequence_tokens).on_chip_bytes;
}

}  // namespace thresher
