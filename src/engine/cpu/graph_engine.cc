#include "engine/cpu/graph_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/round_up.h"
#include "engine/common/engine_checks.h"
#include "engine/cpu/amx_product.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/parallel.h"
#include "engine/cpu/processor.h"
#include "shard/convert.h"

namespace thresher {
namespace {

// Products run on a multiple of this many rows, so that there are few primitives.
constexpr int64_t kRowGranule = 32;
constexpr int64_t kLargestChunk = 256;
// Captured rows that are widened to f32 at a time.
constexpr int64_t kWidenedRows = 16;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string_view WorkKindName(WorkKind kind) {
  constexpr std::array<std::string_view, kWorkKinds> kNames = {
      "embed", "norm", "linear", "rope", "attention", "gate", "add", "capture"};
  return kNames[static_cast<size_t>(kind)];
}

// Above 256 rows a product gains nothing more from its size; below 32 it loses a lot.
int64_t ChunkRowsFor(int64_t tokens, int threads) {
  const int64_t chunks = OneDnnHasAvx512() ? std::clamp<int64_t>(int64_t{2} * threads, 8, 64) : 16;
  const auto part = static_cast<uint64_t>(std::max<int64_t>(1, (tokens + chunks - 1) / chunks));
  return std::clamp(static_cast<int64_t>(std::bit_ceil(part)), kRowGranule, kLargestChunk);
}

GraphEngine::GraphEngine(Program program, const CpuEngineOptions& options, int threads,
                         bool on_tiles)
    : program_(std::move(program)),
      stored_dtype_(options.stored_dtype),
      threads_(threads),
      on_tiles_(on_tiles),
      matmuls_(dnnl::engine(dnnl::engine::kind::cpu, 0)),
      attention_(matmuls_, threads, on_tiles),
      batch_buffers_(program_.buffers.size()) {
  for (int thread = 0; thread < threads; ++thread) {
    workers_.push_back({.chunk_buffers = std::vector<AlignedBuffer>(program_.buffers.size()),
                        .matmul_caller = MatmulCaller(matmuls_.engine())});
  }
  for (const std::vector<float>& frequencies : program_.rope_frequencies) {
    rope_tables_.emplace_back(frequencies);
  }
  info_.name = "cpu";
  info_.compute = DTypeName(program_.compute);
  info_.device =
      fmt::format("{} {}, {}", threads, threads == 1 ? "thread" : "threads", ProcessorFeatures());
  info_.max_batch_tokens = options.max_batch_tokens;
}

Result<std::unique_ptr<GraphEngine>> GraphEngine::Create(const Graph& graph,
                                                         const WeightLookup& lookup,
                                                         const std::vector<HookPoint>& hooks,
                                                         const CpuEngineOptions& options) {
  RETURN_IF_ERROR(CheckHooks(hooks));
  if (options.threads < 0) {
    return InvalidArgument(fmt::format("{} threads: must not be negative", options.threads));
  }
  if (options.max_batch_tokens < 1) {
    return InvalidArgument(
        fmt::format("max_batch_tokens is {}: must be positive", options.max_batch_tokens));
  }
  const bool in_bf16 =
      options.compute == CpuCompute::kBf16 ||
      (options.compute == CpuCompute::kAuto && ProcessorHasBf16() && OneDnnHasAvx512());
  if (in_bf16 && !OneDnnHasAvx512()) {
    return InvalidArgument("this processor cannot compute in bf16 (no AVX-512): use f32");
  }
  const DType compute = in_bf16 ? DType::kBf16 : DType::kF32;
  const int threads = options.threads > 0 ? options.threads : UsableCores();
  const bool has_tiles = in_bf16 && AmxIsUsable();
  if (options.on_tiles.value_or(false) && !has_tiles) {
    return InvalidArgument("on_tiles: only bf16 on a processor with AMX");
  }
  const bool on_tiles = options.on_tiles.value_or(has_tiles);
  // Products with AMX slow down where they add up thousands of products an element.
  ASSIGN_OR_RETURN(Program program,
                   CompileProgram(graph, hooks,
                                  {.compute = compute,
                                   .sums_gate_blocks = options.sums_gate_blocks.value_or(on_tiles),
                                   .gates_in_products = on_tiles}));
  std::unique_ptr<GraphEngine> engine;
  RETURN_IF_ERROR(CatchExceptions(
      [&] { engine.reset(new GraphEngine(std::move(program), options, threads, on_tiles)); }));
  engine->output_count_ = hooks.size();
  RETURN_IF_ERROR(engine->LoadWeights(graph, lookup));
  return engine;
}

Status GraphEngine::LoadWeights(const Graph& graph, const WeightLookup& lookup) {
  const auto find = [&](ParameterId id) { return lookup(graph.parameter(id)); };
  for (const Stage& stage : program_.stages) {
    for (const RowStep& step : stage.row_steps) {
      const auto* embed = std::get_if<EmbedStep>(&step);
      if (embed == nullptr) continue;
      THRESHER_CHECK(embedding_.data == nullptr);  // one table a model
      ASSIGN_OR_RETURN(embedding_, find(embed->table));
    }
  }
  for (const ParameterId id : program_.norm_weights) {
    ASSIGN_OR_RETURN(const WeightView view, find(id));
    norm_weights_.push_back(ReadWeight(view));
  }
  // The rows of a weight or bias tensor that a part is made of.
  const auto slice = [](WeightView view, const LinearPlan::Part& part) {
    int64_t row_bytes = DTypeBytes(view.dtype);
    for (size_t axis = 1; axis < view.shape.size(); ++axis) row_bytes *= view.shape[axis];
    view.data += part.first_column * row_bytes;
    view.shape[0] = part.columns;
    return view;
  };
  std::vector<std::vector<LinearPart>> parts;
  for (const LinearPlan& plan : program_.linears) {
    parts.emplace_back();
    for (const LinearPlan::Part& part : plan.parts) {
      ASSIGN_OR_RETURN(WeightView weight, find(part.weight));
      parts.back().push_back(
          {slice(std::move(weight), part), std::nullopt, part.first_input, part.inputs});
      if (!part.bias) continue;
      ASSIGN_OR_RETURN(WeightView bias, find(*part.bias));
      parts.back().back().bias = slice(std::move(bias), part);
    }
  }
  RETURN_IF_ERROR(CatchExceptions([&] {
    const SingleThreadScope single_thread;
    for (size_t i = 0; i < parts.size(); ++i) {
      const LinearPlan& plan = program_.linears[i];
      linears_.emplace_back(parts[i],
                            MatmulShape{.in = program_.compute,
                                        .out = plan.out,
                                        .accumulates = plan.accumulates,
                                        .on_tiles = on_tiles_,
                                        .is_gated = plan.is_gated},
                            matmuls_);
    }
    packed_weights_.Reserve(packed_bytes());
  }));
  std::vector<int64_t> offsets = {0};
  for (const PackedLinear& linear : linears_) {
    offsets.push_back(offsets.back() + RoundUp(linear.packed_bytes(), kCacheLine));
  }
  return ParallelFor(threads_, static_cast<int64_t>(parts.size()), [&](int64_t index, int) {
    const auto i = static_cast<size_t>(index);
    linears_[i].Pack(parts[i], packed_weights_.data() + offsets[i]);
  });
}

void GraphEngine::PrepareBatch(const PackedBatch& batch) {
  const auto tokens = static_cast<int64_t>(batch.token_ids.size());
  chunk_rows_ = ChunkRowsFor(tokens, threads_);
  positions_.resize(batch.token_ids.size());
  int64_t longest = 0;
  for (size_t s = 0; s + 1 < batch.sequence_offsets.size(); ++s) {
    const int64_t begin = batch.sequence_offsets[s];
    const int64_t end = batch.sequence_offsets[s + 1];
    for (int64_t t = begin; t < end; ++t) {
      positions_[static_cast<size_t>(t)] = static_cast<int32_t>(t - begin);
    }
    longest = std::max(longest, end - begin);
  }
  for (RopeTable& table : rope_tables_) table.Reserve(longest);
  for (size_t b = 0; b < program_.buffers.size(); ++b) {
    const Buffer& buffer = program_.buffers[b];
    if (buffer.whole_batch) {
      // The last chunk's products write up to the next multiple of the granule.
      batch_buffers_[b].Reserve(RoundUp(tokens, kRowGranule) * buffer.row_bytes);
    }
  }
  PrepareMatmuls(tokens);
  PrepareStoredRuns(batch);
}

// Whole batches are one run a chunk.
void GraphEngine::PrepareStoredRuns(const PackedBatch& batch) {
  stored_runs_.clear();
  chunk_runs_ = {0};
  int64_t row = 0;
  for (int64_t first = 0; first < batch.token_count(); first += chunk_rows_) {
    int64_t run_end = -1;  // in the chunk; -1: no run yet
    for (; row < batch.row_count(); ++row) {
      const int64_t token =
          (batch.stored_tokens ? (*batch.stored_tokens)[static_cast<size_t>(row)] : row) - first;
      if (token >= chunk_rows_) break;
      if (token != run_end) stored_runs_.push_back({token, 0, row});
      ++stored_runs_.back().rows;
      run_end = token + 1;
    }
    chunk_runs_.push_back(stored_runs_.size());
  }
}

void GraphEngine::PrepareMatmuls(int64_t tokens) {
  const SingleThreadScope single_thread;
  const int64_t last_chunk_rows = RoundUp((tokens - 1) % chunk_rows_ + 1, kRowGranule);
  linear_matmuls_.clear();
  for (const PackedLinear& linear : linears_) {
    linear_matmuls_.push_back({&matmuls_.Get(linear.ShapeFor(chunk_rows_)),
                               &matmuls_.Get(linear.ShapeFor(last_chunk_rows))});
  }
}

Status GraphEngine::Forward(const PackedBatch& batch, std::span<const HookOutput> outputs) {
  RETURN_IF_ERROR(CheckBatch(batch, outputs,
                             {.hook_count = output_count_,
                              .stored_dtype = stored_dtype_,
                              .vocabulary = embedding_.shape[0]}));
  if (batch.row_count() == 0) return OkStatus();
  RETURN_IF_ERROR(CatchExceptions([&] { PrepareBatch(batch); }));
  for (const Stage& stage : program_.stages) {
    RETURN_IF_ERROR(RunRowSteps(stage, batch, outputs));
    if (stage.attention) RETURN_IF_ERROR(RunAttention(*stage.attention, batch));
  }
  return OkStatus();
}

Status GraphEngine::RunRowSteps(const Stage& stage, const PackedBatch& batch,
                                std::span<const HookOutput> outputs) {
  if (stage.row_steps.empty()) return OkStatus();
  const auto tokens = static_cast<int64_t>(batch.token_ids.size());
  const int64_t chunks = (tokens + chunk_rows_ - 1) / chunk_rows_;
  return ParallelFor(threads_, chunks, [&](int64_t index, int thread) {
    const size_t first_run = chunk_runs_[static_cast<size_t>(index)];
    const size_t end_run = chunk_runs_[static_cast<size_t>(index) + 1];
    // Nothing comes after the last stage's captures.
    if (!stage.attention && first_run == end_run) return;
    Worker& worker = workers_[static_cast<size_t>(thread)];
    for (size_t b = 0; b < program_.buffers.size(); ++b) {
      const Buffer& buffer = program_.buffers[b];
      if (!buffer.whole_batch) worker.chunk_buffers[b].Reserve(chunk_rows_ * buffer.row_bytes);
    }
    const int64_t first_row = index * chunk_rows_;
    const Chunk chunk = {.first_row = first_row,
                         .rows = std::min(chunk_rows_, tokens - first_row),
                         .stored = std::span(stored_runs_).subspan(first_run, end_run - first_run),
                         .batch = batch,
                         .outputs = outputs,
                         .worker = worker};
    double begin = Now();
    for (const RowStep& row_step : stage.row_steps) {
      const WorkKind kind =
          std::visit([&](const auto& step) { return Run(step, chunk); }, row_step);
      const double end = Now();
      worker.seconds[static_cast<size_t>(kind)] += end - begin;
      begin = end;
    }
  });
}

Status GraphEngine::RunAttention(const AttentionStep& step, const PackedBatch& batch) {
  const double begin = Now();
  Status status = attention_.Run({.q = BatchRows(step.q),
                                  .k = BatchRows(step.k),
                                  .v = BatchRows(step.v),
                                  .out = BatchRows(step.out),
                                  .sequence_offsets = batch.sequence_offsets,
                                  .heads = step.heads,
                                  .kv_heads = step.kv_heads,
                                  .head_dim = step.head_dim,
                                  .scale = step.scale,
                                  .window = step.window});
  attention_seconds_ += (Now() - begin) * threads_;
  return status;
}

Rows GraphEngine::SlotRows(const Slot& slot, std::byte* storage) const {
  const int64_t element_bytes = DTypeBytes(slot.dtype);
  const int64_t row_bytes = program_.storages[static_cast<size_t>(slot.storage)].row_bytes;
  return {.data = storage + slot.column * element_bytes,
          .dtype = slot.dtype,
          .stride = row_bytes / element_bytes};
}

Rows GraphEngine::BatchRows(const Slot& slot) {
  const Storage& storage = program_.storages[static_cast<size_t>(slot.storage)];
  return SlotRows(slot, batch_buffers_[static_cast<size_t>(storage.buffer)].data());
}

Rows GraphEngine::ChunkRows(const Slot& slot, const Chunk& chunk) {
  const Storage& storage = program_.storages[static_cast<size_t>(slot.storage)];
  const auto buffer = static_cast<size_t>(storage.buffer);
  if (!storage.whole_batch) return SlotRows(slot, chunk.worker.chunk_buffers[buffer].data());
  return SlotRows(slot, batch_buffers_[buffer].data() + chunk.first_row * storage.row_bytes);
}

WorkKind GraphEngine::Run(const EmbedStep& step, const Chunk& chunk) {
  const Rows out = ChunkRows(step.out, chunk);
  const int64_t row_bytes = step.out.width * DTypeBytes(embedding_.dtype);
  for (int64_t r = 0; r < chunk.rows; ++r) {
    const int64_t id = chunk.batch.token_ids[static_cast<size_t>(chunk.first_row + r)];
    DecodeRows(embedding_.data + id * row_bytes, nullptr, 1, step.out.width, embedding_.dtype,
               reinterpret_cast<float*>(out.row(r)));
  }
  return WorkKind::kEmbed;
}

WorkKind GraphEngine::Run(const NormStep& step, const Chunk& chunk) {
  NormalizeRows({chunk.rows, step.in.width}, ChunkRows(step.in, chunk),
                norm_weights_[step.weight].data(), step.epsilon, ChunkRows(step.out, chunk));
  return WorkKind::kNorm;
}

WorkKind GraphEngine::Run(const LinearStep& step, const Chunk& chunk) {
  const Rows in = ChunkRows(step.in, chunk);
  const Rows out = ChunkRows(step.out, chunk);
  THRESHER_CHECK(in.stride == step.in.width && out.stride == step.out.width);
  const bool is_whole = chunk.rows == chunk_rows_;
  if (!is_whole) {
    // The product also computes the rows up to the granule; they are never read.
    const int64_t rows = RoundUp(chunk.rows, kRowGranule);
    std::memset(in.row(chunk.rows), 0, static_cast<size_t>(in.row(rows) - in.row(chunk.rows)));
  }
  linears_[step.linear].Execute(*linear_matmuls_[step.linear][is_whole ? 0 : 1], in.data, out.data,
                                chunk.worker.matmul_caller);
  return WorkKind::kLinear;
}

WorkKind GraphEngine::Run(const RopeStep& step, const Chunk& chunk) {
  const RopeTable& table = rope_tables_[step.table];
  RotateRows({.rows = chunk.rows,
              .heads = step.heads,
              .head_dim = step.head_dim,
              .frequency_count = table.frequency_count()},
             table.data(), positions_.data() + chunk.first_row, ChunkRows(step.in, chunk),
             ChunkRows(step.out, chunk));
  return WorkKind::kRope;
}

WorkKind GraphEngine::Run(const GateStep& step, const Chunk& chunk) {
  GateRows({chunk.rows, step.out.width}, ChunkRows(step.gate, chunk), ChunkRows(step.up, chunk),
           ChunkRows(step.out, chunk));
  return WorkKind::kGate;
}

WorkKind GraphEngine::Run(const AddStep& step, const Chunk& chunk) {
  AddRows({chunk.rows, step.out.width}, ChunkRows(step.a, chunk), ChunkRows(step.b, chunk),
          ChunkRows(step.out, chunk));
  return WorkKind::kAdd;
}

WorkKind GraphEngine::Run(const ConvertStep& step, const Chunk& chunk) {
  ConvertRows({chunk.rows, step.in.width}, ChunkRows(step.in, chunk), ChunkRows(step.out, chunk));
  return WorkKind::kAdd;
}

WorkKind GraphEngine::Run(const CaptureStep& step, const Chunk& chunk) {
  for (const StoredRun& run : chunk.stored) CaptureRows(step, chunk, run);
  return WorkKind::kCapture;
}

void GraphEngine::CaptureRows(const CaptureStep& step, const Chunk& chunk, const StoredRun& run) {
  const Rows chunk_rows = ChunkRows(step.in, chunk);
  const Rows in = {.data = chunk_rows.row(run.first_row),
                   .dtype = chunk_rows.dtype,
                   .stride = chunk_rows.stride};
  const int64_t width = step.in.width;
  const int64_t row_bytes = width * DTypeBytes(stored_dtype_);
  const HookOutput& output = chunk.outputs[step.output];
  std::byte* out = output.rows + run.first_output_row * row_bytes;
  float* scales = output.scales == nullptr ? nullptr : output.scales + run.first_output_row;
  if (in.dtype == stored_dtype_) {
    for (int64_t r = 0; r < run.rows; ++r) {
      std::memcpy(out + r * row_bytes, in.row(r), static_cast<size_t>(row_bytes));
    }
  } else if (in.dtype == DType::kF32) {
    EncodeRows(reinterpret_cast<const float*>(in.data), run.rows, width, in.stride, stored_dtype_,
               out, scales);
  } else {
    std::vector<float>& widened = chunk.worker.widened_rows;
    widened.resize(static_cast<size_t>(kWidenedRows * width));
    for (int64_t r = 0; r < run.rows; r += kWidenedRows) {
      const int64_t rows = std::min(kWidenedRows, run.rows - r);
      const Rows from = {.data = in.row(r), .dtype = in.dtype, .stride = in.stride};
      ConvertRows({rows, width}, from,
                  {.data = reinterpret_cast<std::byte*>(widened.data()),
                   .dtype = DType::kF32,
                   .stride = width});
      EncodeRows(widened.data(), rows, width, width, stored_dtype_, out + r * row_bytes,
                 scales == nullptr ? nullptr : scales + r);
    }
  }
}

std::array<double, kWorkKinds> GraphEngine::work_seconds() const {
  std::array<double, kWorkKinds> total = {};
  for (const Worker& worker : workers_) {
    for (size_t kind = 0; kind < kWorkKinds; ++kind) total[kind] += worker.seconds[kind];
  }
  total[static_cast<size_t>(WorkKind::kAttention)] += attention_seconds_;
  return total;
}

int64_t GraphEngine::packed_bytes() const {
  int64_t bytes = 0;
  for (const PackedLinear& linear : linears_) bytes += RoundUp(linear.packed_bytes(), kCacheLine);
  return bytes;
}

}  // namespace thresher
