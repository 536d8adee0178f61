#include "benchmark/engine_benchmark.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/peak_memory.h"
#include "benchmark/row_writer.h"
#include "engine/cpu/parallel.h"
#include "extract/shard_builder.h"
#include "forecast/batch_outputs.h"
#include "forecast/trial.h"

namespace thresher {
namespace {

double Now() { return static_cast<double>(Clock::Real().MonotonicUs()) / 1e6; }

int64_t BytesOf(const ByteBlocks& blocks) {
  int64_t bytes = 0;
  for (const std::span<const std::byte> block : blocks) bytes += std::ssize(block);
  return bytes;
}

// The batches, and the engine that runs them.
class Benchmark {
 public:
  Benchmark(GraphEngine& engine, const BenchmarkInputs& inputs, const ShardFormat& format,
            std::optional<RowWriter> writer)
      : engine_(engine), writer_(std::move(writer)) {
    int64_t most_rows = 0;
    for (const BatchRange& range : inputs.job.batches) {
      batches_.emplace_back(inputs.job, range);
      rows_.push_back(batches_.back().packed().row_count());
      most_rows = std::max(most_rows, rows_.back());
    }
    // One is filled while the other is written.
    for (int i = 0; i < (writer_ ? 2 : 1); ++i) outputs_.emplace_back(format, most_rows);
  }

  int64_t stored_bytes() const {
    int64_t bytes = 0;
    for (const int64_t rows : rows_) bytes += BytesOf(outputs_[0].Blocks(rows));
    return bytes;
  }

  Result<BenchmarkPass> Run() {
    BenchmarkPass pass;
    const std::array<double, kWorkKinds> before = engine_.work_seconds();
    const double begin = Now();
    for (size_t b = 0; b < batches_.size(); ++b) {
      const BatchOutputs& outputs = outputs_[b % outputs_.size()];
      RETURN_IF_ERROR(engine_.Forward(batches_[b].packed(), outputs.outputs()));
      if (!writer_) continue;
      // The one before it, whose memory is the next one's.
      RETURN_IF_ERROR(WaitForWriter(pass, [&] { return writer_->Wait(); }));
      writer_->Begin(outputs.Blocks(rows_[b]));
    }
    if (writer_) RETURN_IF_ERROR(WaitForWriter(pass, [&] { return writer_->Finish(); }));
    pass.seconds = Now() - begin;
    pass.work_seconds = engine_.work_seconds();
    for (size_t kind = 0; kind < kWorkKinds; ++kind) pass.work_seconds[kind] -= before[kind];
    return pass;
  }

  // Seconds to write what a pass writes, with nothing computed.
  Result<double> WriteAlone() {
    const double begin = Now();
    for (size_t b = 0; b < batches_.size(); ++b) {
      RETURN_IF_ERROR(writer_->Wait());
      writer_->Begin(outputs_[b % outputs_.size()].Blocks(rows_[b]));
    }
    RETURN_IF_ERROR(writer_->Finish());
    return Now() - begin;
  }

  bool writes() const { return writer_.has_value(); }

 private:
  template <typename Wait>
  static Status WaitForWriter(BenchmarkPass& pass, const Wait& wait) {
    const double begin = Now();
    Status status = wait();
    pass.wait_seconds += Now() - begin;
    return status;
  }

  GraphEngine& engine_;
  std::optional<RowWriter> writer_;
  std::vector<EngineBatch> batches_;
  std::vector<int64_t> rows_;  // of each batch
  std::vector<BatchOutputs> outputs_;
};

int64_t LargestBatchTokens(const UnitJob& job) {
  int64_t most = 0;
  for (const BatchRange& range : job.batches) {
    most = std::max(most, job.sequence_offsets[static_cast<size_t>(range.end_sequence)] -
                              job.sequence_offsets[static_cast<size_t>(range.first_sequence)]);
  }
  return most;
}

}  // namespace

const BenchmarkPass& BenchmarkReport::best() const {
  return *std::ranges::min_element(passes, {}, &BenchmarkPass::seconds);
}

Result<BenchmarkReport> RunEngineBenchmark(
    const BenchmarkInputs& inputs, const BenchmarkOptions& options,
    const std::function<void(const std::string&)>& progress) {
  // Of a product's runs the best counts; this many between two passes.
  constexpr int kPeakRuns = 3;
  ASSIGN_OR_RETURN(const Graph pruned, inputs.graph.PrunedTo(inputs.hooks));
  ASSIGN_OR_RETURN(const ShardFormat format,
                   ShardFormatOf(inputs.graph, inputs.hooks, options.engine.stored_dtype));
  std::optional<RowWriter> writer;
  if (!options.write_folder.empty()) {
    ASSIGN_OR_RETURN(writer, RowWriter::Create(options.write_folder));
  }
  progress("loading the weights");
  const double load_begin = Now();
  ASSIGN_OR_RETURN(const std::unique_ptr<GraphEngine> engine,
                   GraphEngine::Create(inputs.graph, inputs.weights, inputs.hooks, options.engine));
  BenchmarkReport report;
  report.load_seconds = Now() - load_begin;
  report.engine = engine->info();
  report.packed_bytes = engine->packed_bytes();
  report.threads = options.engine.threads > 0 ? options.engine.threads : UsableCores();
  report.tokens = inputs.job.token_count();
  report.sequences = inputs.job.sequence_count();
  report.batches = std::ssize(inputs.job.batches);
  report.flops = BatchFlops(pruned, inputs.job.sequence_offsets);

  Benchmark benchmark(*engine, inputs, format, std::move(writer));
  report.stored_bytes = benchmark.stored_bytes();
  const DType compute = report.engine.compute == "bf16" ? DType::kBf16 : DType::kF32;
  // Passes and peaks in turns, so that a noisy machine treats them alike.
  for (int64_t repeat = 0; repeat <= options.repeats; ++repeat) {
    progress(repeat == 0 ? "pass 0, which does not count"
                         : fmt::format("pass {} of {}", repeat, options.repeats));
    ASSIGN_OR_RETURN(BenchmarkPass pass, benchmark.Run());
    // Of the passes alone: the peak has memory of its own.
    if (repeat == 0) report.peak_memory_bytes = PeakMemoryBytes();
    if (repeat > 0) report.passes.push_back(pass);
    if (benchmark.writes()) {
      ASSIGN_OR_RETURN(const double seconds, benchmark.WriteAlone());
      report.disk_bytes_per_second = std::max(report.disk_bytes_per_second,
                                              static_cast<double>(report.stored_bytes) / seconds);
    }
    ASSIGN_OR_RETURN(
        const std::unique_ptr<GemmPeak> peak,
        GemmPeak::Make(pruned, compute, report.threads, LargestBatchTokens(inputs.job)));
    for (int run = 0; run < kPeakRuns; ++run) {
      ASSIGN_OR_RETURN(const GemmPeaks peaks, peak->Measure());
      report.gemm_peaks.fastest = std::max(report.gemm_peaks.fastest, peaks.fastest);
      report.gemm_peaks.onednn = std::max(report.gemm_peaks.onednn, peaks.onednn);
    }
  }
  return report;
}

}  // namespace thresher
