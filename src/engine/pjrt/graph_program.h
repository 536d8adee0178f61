#ifndef THRESHER_ENGINE_PJRT_GRAPH_PROGRAM_H_
#define THRESHER_ENGINE_PJRT_GRAPH_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/pjrt/stablehlo_writer.h"
#include "engine/pjrt/tensor_type.h"
#include "graph/graph.h"

namespace thresher {

struct GraphProgramOptions {
  int64_t tokens = 0;  // rows of a batch, padding included
  // The results have so many rows, those of the tokens that BatchInput::kRows names. Nothing: the
  // rows of all tokens.
  std::optional<int64_t> picked_rows = std::nullopt;
  DType compute = DType::kBf16;    // of what matrix products read: kF32 or kBf16
  DType stored = DType::kBf16;     // of the results; f32 where it has scales (HasScale)
  DType embedding = DType::kBf16;  // of the looked-up rows of the embedding table
  int64_t devices = 1;             // that share one batch (tensor parallel)
  bool loop_layers = true;         // identical layers as a loop over stacked weights
  int64_t attention_block = 512;   // queries at a time, at most
  // Batches of more tokens have WriteOnlineAttention, others WriteAttention.
  int64_t whole_attention_up_to = 512;

  // Batches with WriteAttention have WriteCudnnAttention instead, where CudnnCanAttend. Only for
  // CUDA devices, `compute` bf16, and a batch for each device.
  bool cudnn_attention = false;

  int64_t result_rows() const { return picked_rows.value_or(tokens); }
  bool has_online_attention() const { return tokens > whole_attention_up_to; }
};

// A weight, or the same weight of every iteration of the layer loop, stacked on a new first axis.
struct WeightArgument {
  std::vector<ParameterId> parameters;
  bool is_stacked = false;
};

// What changes from batch to batch.
enum class BatchInput {
  kEmbedded,  // [tokens, width]: the embedding table's rows of the token ids
  kRows,      // i32 [picked rows]: tokens, rising; of padding, the last of them
  kStarts,    // i32 [tokens]: the row where each token's sequence begins; of padding, its own
  kCosines,   // f32 [tokens, frequencies]: of each token's angles (position * frequency)
  kSines,     // the same
};
struct BatchArgument {
  BatchInput input;
  size_t rope = 0;         // kCosines, kSines: index into GraphProgram::ropes
  ParameterId table = -1;  // kEmbedded
};

struct ProgramArgument {
  TensorType type;
  Sharding sharding;
  std::variant<WeightArgument, BatchArgument> meaning;
};

// Where the rows of a hook point are.
struct HookResult {
  size_t result = 0;
  int64_t element = -1;  // of the result's first axis; -1: the result is the hook point's alone
};

// The forward pass of a graph, up to the deepest of some hook points, on batches of a fixed number
// of tokens, as a StableHLO module. Padding tokens have rows too; nothing else depends on them.
// Picked rows are picked on the device, of each hook point as soon as it is there.
//
// Dtypes: the residual stream, what is added to it, norms, softmax, rotary embedding, and the
// outputs of linears are f32; what linears and attention multiply is converted to the compute
// dtype, and products are summed in f32. A hook point has the dtype that its value has there.
struct GraphProgram {
  std::string module;
  std::vector<ProgramArgument> arguments;  // weights first; these depend on no number of rows
  std::vector<TensorType> results;         // [rows, width] or [elements, rows, width]
  std::vector<HookResult> hooks;           // hooks[i]: of the i-th hook point asked for
  std::vector<std::vector<float>> ropes;   // the inverse frequencies of each rotary embedding
  int64_t loop_iterations = 1;             // of the layer loop; 1: there is none
  bool picks_rows = false;                 // results have the rows that kRows names
  bool results_are_split = false;          // device d has the d-th part of the rows
};

// kInvalidArgument if the graph has no such hook point. `hooks` are sorted, each once.
Result<GraphProgram> WriteGraphProgram(const Graph& graph, const std::vector<HookPoint>& hooks,
                                       const GraphProgramOptions& options);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_GRAPH_PROGRAM_H_
