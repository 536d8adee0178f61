#ifndef THRESHER_ENGINE_CPU_GRAPH_ENGINE_H_
#define THRESHER_ENGINE_CPU_GRAPH_ENGINE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/common/rope_table.h"
#include "engine/common/weight_lookup.h"
#include "engine/cpu/aligned_buffer.h"
#include "engine/cpu/attention.h"
#include "engine/cpu/cpu_engine.h"
#include "engine/cpu/linear.h"
#include "engine/cpu/matmul.h"
#include "engine/cpu/program.h"
#include "engine/engine.h"
#include "graph/graph.h"

namespace thresher {

// The kinds of work that the engine keeps time of.
enum class WorkKind : uint8_t { kEmbed, kNorm, kLinear, kRope, kAttention, kGate, kAdd, kCapture };
inline constexpr size_t kWorkKinds = 8;
std::string_view WorkKindName(WorkKind kind);

// The CPU engine itself: runs a compiled graph on packed weights.
class GraphEngine final : public Engine {
 public:
  // As CreateCpuEngine, for any graph and source of weights.
  static Result<std::unique_ptr<GraphEngine>> Create(const Graph& graph, const WeightLookup& lookup,
                                                     const std::vector<HookPoint>& hooks,
                                                     const CpuEngineOptions& options);

  const EngineInfo& info() const override { return info_; }
  Status Forward(const PackedBatch& batch, std::span<const HookOutput> outputs) override;

  // Seconds of thread time spent on each kind of work since the engine was made; attention's is
  // wall time multiplied by the number of threads.
  std::array<double, kWorkKinds> work_seconds() const;

  // Memory of the packed weights.
  int64_t packed_bytes() const;

 private:
  // What one thread works with.
  struct Worker {
    std::vector<AlignedBuffer> chunk_buffers;  // by buffer index; empty for whole-batch buffers
    MatmulCaller matmul_caller;
    std::vector<float> widened_rows = {};
    std::array<double, kWorkKinds> seconds = {};
  };

  // Rows next to each other in a chunk and in the outputs.
  struct StoredRun {
    int64_t first_row;  // in the chunk
    int64_t rows;
    int64_t first_output_row;
  };

  // Rows that a task runs a stage's row steps on.
  struct Chunk {
    int64_t first_row;
    int64_t rows;
    std::span<const StoredRun> stored;
    const PackedBatch& batch;
    std::span<const HookOutput> outputs;
    Worker& worker;
  };

  GraphEngine(Program program, const CpuEngineOptions& options, int threads, bool on_tiles);

  Status LoadWeights(const Graph& graph, const WeightLookup& lookup);
  void PrepareBatch(const PackedBatch& batch);
  void PrepareMatmuls(int64_t tokens);
  void PrepareStoredRuns(const PackedBatch& batch);
  Status RunRowSteps(const Stage& stage, const PackedBatch& batch,
                     std::span<const HookOutput> outputs);
  Status RunAttention(const AttentionStep& step, const PackedBatch& batch);

  // Rows of a slot from the chunk's first one on, or from the batch's first one on.
  Rows ChunkRows(const Slot& slot, const Chunk& chunk);
  Rows BatchRows(const Slot& slot);
  Rows SlotRows(const Slot& slot, std::byte* storage) const;

  WorkKind Run(const EmbedStep& step, const Chunk& chunk);
  WorkKind Run(const NormStep& step, const Chunk& chunk);
  WorkKind Run(const LinearStep& step, const Chunk& chunk);
  WorkKind Run(const RopeStep& step, const Chunk& chunk);
  WorkKind Run(const GateStep& step, const Chunk& chunk);
  WorkKind Run(const AddStep& step, const Chunk& chunk);
  WorkKind Run(const ConvertStep& step, const Chunk& chunk);
  WorkKind Run(const CaptureStep& step, const Chunk& chunk);
  void CaptureRows(const CaptureStep& step, const Chunk& chunk, const StoredRun& run);

  const Program program_;
  const DType stored_dtype_;
  const int threads_;
  const bool on_tiles_;
  EngineInfo info_;
  size_t output_count_ = 0;

  WeightView embedding_;
  std::vector<std::vector<float>> norm_weights_;
  AlignedBuffer packed_weights_;  // of all linears, one after another
  std::vector<PackedLinear> linears_;
  std::vector<RopeTable> rope_tables_;

  MatmulCache matmuls_;
  BlockedAttention attention_;
  std::vector<Worker> workers_;
  std::vector<AlignedBuffer> batch_buffers_;  // by buffer index; empty for chunk buffers
  double attention_seconds_ = 0;

  // Of the current batch.
  int64_t chunk_rows_ = 0;
  std::vector<int32_t> positions_;      // [tokens]
  std::vector<StoredRun> stored_runs_;  // of all chunks, in their order
  std::vector<size_t> chunk_runs_;  // [chunks + 1]: chunk c has runs chunk_runs_[c] to [c + 1] - 1
  std::vector<std::array<const Matmul*, 2>> linear_matmuls_;  // for whole chunks and the last one
};

// The rows of a chunk for a batch of `tokens` tokens: few large ones, but at least two for each
// thread. Where a row's result depends on the number of rows (before AVX-512, see Matmul), it does
// not depend on the number of threads, so that results are the same for any.
int64_t ChunkRowsFor(int64_t tokens, int threads);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_GRAPH_ENGINE_H_
