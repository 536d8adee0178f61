#ifndef THRESHER_ENGINE_CPU_PROGRAM_H_
#define THRESHER_ENGINE_CPU_PROGRAM_H_

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "graph/graph.h"
#include "graph/hook_point.h"

namespace thresher {

// A graph as the CPU engine runs it. Everything but attention works on rows by themselves, so the
// program is a list of stages: row steps, which one thread runs one after another on a chunk of
// rows while their results are still in its cache, then (but for the last stage) one attention over
// the whole batch. Values that live inside one stage need memory for one chunk per thread only.

// Memory that holds one or several values side by side in each row.
struct Storage {
  int64_t row_bytes = 0;
  bool whole_batch = false;  // else: one chunk of rows in each thread
  int32_t buffer = -1;       // index into Program::buffers; several storages share one in turn
};

struct Buffer {
  int64_t row_bytes = 0;  // of the widest storage in it
  bool whole_batch = false;
};

// Where a value's rows lie: `width` elements from element `column` of each row of a storage.
struct Slot {
  int32_t storage = -1;
  int64_t column = 0;
  int64_t width = 0;
  DType dtype = DType::kF32;  // kF32 or kBf16
};

struct EmbedStep {
  ParameterId table;
  Slot out;  // f32
};

struct NormStep {
  Slot in;        // f32
  size_t weight;  // index into Program::norm_weights
  float epsilon;
  Slot out;
};

struct LinearStep {
  Slot in;        // fills its storage's rows, in the compute dtype
  size_t linear;  // index into Program::linears
  Slot out;       // fills its storage's rows
};

struct RopeStep {
  Slot in;
  Slot out;
  int64_t heads;
  int64_t head_dim;
  size_t table;  // index into Program::rope_frequencies
};

struct GateStep {
  Slot gate;
  Slot up;
  Slot out;
};

struct AddStep {
  Slot a;
  Slot b;
  Slot out;  // all f32
};

struct ConvertStep {
  Slot in;
  Slot out;
};

// Writes rows to outputs[output]; stands right behind the step that completes them.
struct CaptureStep {
  Slot in;
  size_t output;
};

using RowStep = std::variant<EmbedStep, NormStep, LinearStep, RopeStep, GateStep, AddStep,
                             ConvertStep, CaptureStep>;

// All in the compute dtype.
struct AttentionStep {
  Slot q;
  Slot k;
  Slot v;
  Slot out;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  float scale;
  int64_t window;  // 0: none
};

struct Stage {
  std::vector<RowStep> row_steps;
  std::optional<AttentionStep> attention;  // after the row steps; none in the last stage
};

// Linears of one input whose weights are joined.
struct LinearPlan {
  struct Part {
    ParameterId weight;
    std::optional<ParameterId> bias;
    int64_t first_column = 0;  // of the linear's output
    int64_t columns = 0;
    int64_t first_input = 0;  // of its input
    int64_t inputs = 0;
  };
  std::vector<Part> parts;  // all of the same inputs
  DType out = DType::kF32;
  bool accumulates = false;  // adds to what its output holds
  bool is_gated = false;     // the parts are gate and up; the output is silu(gate) * up
};

struct Program {
  DType compute = DType::kF32;
  std::vector<Stage> stages;
  std::vector<Storage> storages;
  std::vector<Buffer> buffers;
  std::vector<LinearPlan> linears;
  std::vector<ParameterId> norm_weights;
  std::vector<std::vector<float>> rope_frequencies;
};

struct ProgramOptions {
  // Of what matrix products read: kF32 or kBf16.
  DType compute = DType::kF32;
  // What reads a wide gated activation is summed up a block of its columns at a time, as they are
  // made.
  bool sums_gate_blocks = false;
  // Such a block is gated by the product that makes it, where AmxCanMultiply its inputs.
  bool gates_in_products = false;
};

// Plans the forward pass up to the deepest of `hooks`; hooks[i] is captured as output i. The
// residual stream, what is added to it, and what elementwise steps read are f32. The dtype of a
// value does not depend on which hooks are asked for. kInvalidArgument if the graph has no such
// hook point.
Result<Program> CompileProgram(const Graph& graph, const std::vector<HookPoint>& hooks,
                               const ProgramOptions& options);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_PROGRAM_H_
