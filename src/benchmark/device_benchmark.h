#ifndef THRESHER_BENCHMARK_DEVICE_BENCHMARK_H_
#define THRESHER_BENCHMARK_DEVICE_BENCHMARK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "benchmark/engine_benchmark.h"
#include "engine/create_engine.h"

namespace thresher {

struct DeviceBenchmarkOptions {
  EngineOptions engine;     // not "cpu"
  int64_t repeats = 3;      // passes of each kind that count; one before them does not
  double pass_seconds = 2;  // the batches are run again and again, until a pass takes about so long
};

// What came of it. A pass has all batches `rounds` times; figures are of a pass.
struct DeviceBenchmarkReport {
  EngineInfo engine;
  std::string platform;        // "cuda"
  std::string plugin_version;  // for people
  std::string device_kind;     // "NVIDIA H100 80GB HBM3"
  int64_t device_count = 0;    // that work
  double load_seconds = 0;     // weights onto the devices, beside the first compilation
  int64_t rounds = 0;
  int64_t tokens = 0;
  int64_t sequences = 0;
  int64_t batches = 0;
  int64_t stored_bytes = 0;
  double flops = 0;
  // FLOP/s of all these devices: as published for them, where it is known for this arithmetic; and
  // of a chain of large products through the same plug-in, measured in turns with the passes.
  std::optional<double> published_peak;
  std::string published_chip;  // "h100"
  double matmul_peak = 0;
  std::vector<double> seconds;           // of each pass with all rows brought to host memory
  std::vector<double> compute_seconds;   // of each pass with nothing brought back
  std::optional<int64_t> memory_in_use;  // of the first device, after the passes
  std::optional<int64_t> memory_limit;

  double best_seconds() const;
  double best_compute_seconds() const;
  double tokens_per_second() const { return static_cast<double>(tokens) / best_seconds(); }
  double flops_per_second() const { return flops / best_seconds(); }
  // Of the published peak if there is one, else of the measured one.
  double mfu() const { return flops_per_second() / published_peak.value_or(matmul_peak); }
  // How much longer a pass takes than one with nothing brought back, as a part of that one.
  double cost_of_rows() const { return best_seconds() / best_compute_seconds() - 1; }
};

// Runs the engine on devices, with several batches in flight as `thresher extract` has them. Passes
// with and without rows alternate. `progress` is told what is being done.
Result<DeviceBenchmarkReport> RunDeviceBenchmark(
    const BenchmarkInputs& inputs, const DeviceBenchmarkOptions& options,
    const std::function<void(const std::string&)>& progress);

}  // namespace thresher

#endif  // THRESHER_BENCHMARK_DEVICE_BENCHMARK_H_
