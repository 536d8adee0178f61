#include "benchmark/device_benchmark.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "benchmark/matmul_peak.h"
#include "engine/pjrt/pjrt_engine.h"
#include "extract/shard_builder.h"
#include "forecast/batch_outputs.h"
#include "forecast/trial.h"
#include "roofline/chip.h"

namespace thresher {
namespace {

// A pass has at least so many times the batches that are in flight, so that what is not overlapped
// at its ends counts little.
constexpr int64_t kFillsOfQueue = 4;

double Now() { return static_cast<double>(Clock::Real().MonotonicUs()) / 1e6; }

// The batches and the memory of those in flight.
class Passes {
 public:
  Passes(Engine& engine, const BenchmarkInputs& inputs, const ShardFormat& format)
      : engine_(engine) {
    int64_t most_rows = 0;
    for (const BatchRange& range : inputs.job.batches) {
      batches_.emplace_back(inputs.job, range);
      rows_.push_back(batches_.back().packed().row_count());
      most_rows = std::max(most_rows, rows_.back());
    }
    for (size_t i = 0; i < engine.queue_depth(); ++i) outputs_.emplace_back(format, most_rows);
  }

  int64_t batch_count() const { return std::ssize(batches_); }

  int64_t stored_bytes() const {
    int64_t bytes = 0;
    for (const int64_t rows : rows_) {
      for (const std::span<const std::byte> block : outputs_[0].Blocks(rows)) {
        bytes += std::ssize(block);
      }
    }
    return bytes;
  }

  // Seconds of all batches `rounds` times.
  Result<double> Run(int64_t rounds) {
    const double begin = Now();
    size_t submitted = 0;
    size_t finished = 0;
    for (int64_t round = 0; round < rounds; ++round) {
      for (const EngineBatch& batch : batches_) {
        if (submitted - finished == outputs_.size()) {
          RETURN_IF_ERROR(engine_.Finish());
          ++finished;
        }
        RETURN_IF_ERROR(
            engine_.Submit(batch.packed(), outputs_[submitted % outputs_.size()].outputs()));
        ++submitted;
      }
    }
    for (; finished < submitted; ++finished) RETURN_IF_ERROR(engine_.Finish());
    return Now() - begin;
  }

 private:
  Engine& engine_;
  std::vector<EngineBatch> batches_;
  std::vector<int64_t> rows_;          // of each batch
  std::vector<BatchOutputs> outputs_;  // [queue_depth]
};

void DescribeDevices(const PjrtClient& client, const EngineOptions& options,
                     DeviceBenchmarkReport& report) {
  report.platform = client.platform();
  report.plugin_version = client.platform_version();
  report.device_kind = client.devices().front().kind;
  const auto count = std::ssize(client.devices());
  const int64_t groups = options.mesh.data > 0 ? options.mesh.data : count / options.mesh.model;
  report.device_count = groups * options.mesh.model;
  const std::optional<Chip> chip = ChipOfDevice(report.device_kind);
  if (!chip || options.compute != DType::kBf16) return;
  report.published_peak = chip->peak_flops * static_cast<double>(report.device_count);
  report.published_chip = chip->name;
}

// Enough for a pass of the wished length, if `seconds` is what all batches once take.
int64_t RoundsFor(double seconds, const DeviceBenchmarkOptions& options, const Passes& passes,
                  size_t queue_depth) {
  const int64_t fills = kFillsOfQueue * static_cast<int64_t>(queue_depth);
  const int64_t for_queue = (fills + passes.batch_count() - 1) / passes.batch_count();
  // The queue is not worth a pass that takes much longer than wished.
  const auto for_time = static_cast<int64_t>(std::ceil(options.pass_seconds / seconds));
  return std::max<int64_t>(for_time, std::min<int64_t>(for_queue, 4 * for_time));
}

}  // namespace

double DeviceBenchmarkReport::best_seconds() const { return *std::ranges::min_element(seconds); }

double DeviceBenchmarkReport::best_compute_seconds() const {
  return *std::ranges::min_element(compute_seconds);
}

Result<DeviceBenchmarkReport> RunDeviceBenchmark(
    const BenchmarkInputs& inputs, const DeviceBenchmarkOptions& options,
    const std::function<void(const std::string&)>& progress) {
  ASSIGN_OR_RETURN(const Graph pruned, inputs.graph.PrunedTo(inputs.hooks));
  ASSIGN_OR_RETURN(const ShardFormat format,
                   ShardFormatOf(inputs.graph, inputs.hooks, options.engine.stored_dtype));
  ASSIGN_OR_RETURN(const PjrtPlugin* plugin, LoadEnginePlugin(options.engine.engine));
  THRESHER_CHECK(plugin != nullptr);
  ASSIGN_OR_RETURN(std::unique_ptr<PjrtClient> owned_client,
                   PjrtClient::Create(*plugin, ClientOptionsOf(options.engine.engine)));
  const PjrtClient& client = *owned_client;  // the engine's from here on
  DeviceBenchmarkReport report;
  DescribeDevices(client, options.engine, report);

  progress("loading the weights and compiling");
  const auto brings_rows = std::make_shared<bool>(true);
  PjrtEngineOptions engine_options = PjrtOptionsOf(options.engine);
  engine_options.brings_rows = brings_rows;
  engine_options.stored_share =
      static_cast<double>(inputs.job.row_count()) / static_cast<double>(inputs.job.token_count());
  const double load_begin = Now();
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                   CreatePjrtEngine(std::move(owned_client), inputs.graph, inputs.weights,
                                    inputs.hooks, engine_options));
  report.load_seconds = Now() - load_begin;
  report.engine = engine->info();

  Passes passes(*engine, inputs, format);
  progress("a pass that does not count");
  RETURN_IF_ERROR(passes.Run(1).status());  // compiles what is not compiled yet
  ASSIGN_OR_RETURN(const double once, passes.Run(1));
  report.rounds = RoundsFor(once, options, passes, engine->queue_depth());
  report.tokens = report.rounds * inputs.job.token_count();
  report.sequences = report.rounds * inputs.job.sequence_count();
  report.batches = report.rounds * passes.batch_count();
  report.stored_bytes = report.rounds * passes.stored_bytes();
  report.flops =
      static_cast<double>(report.rounds) * BatchFlops(pruned, inputs.job.sequence_offsets);

  ASSIGN_OR_RETURN(const std::unique_ptr<MatmulPeak> peak,
                   MatmulPeak::Make(client, report.device_count, options.engine.compute));
  for (int64_t repeat = 1; repeat <= options.repeats; ++repeat) {
    progress(fmt::format("pass {} of {}, with rows and without", repeat, options.repeats));
    for (const bool rows : {true, false}) {
      *brings_rows = rows;
      ASSIGN_OR_RETURN(const double seconds, passes.Run(report.rounds));
      (rows ? report.seconds : report.compute_seconds).push_back(seconds);
    }
    ASSIGN_OR_RETURN(const double flops, peak->Measure());
    report.matmul_peak = std::max(report.matmul_peak, flops);
  }
  if (const std::optional<DeviceMemory> memory = client.Memory(client.devices().front())) {
    report.memory_in_use = memory->bytes_in_use;
    report.memory_limit = memory->bytes_limit;
  }
  return report;
}

}  // namespace thresher
