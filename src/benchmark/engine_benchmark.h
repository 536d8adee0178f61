#ifndef THRESHER_BENCHMARK_ENGINE_BENCHMARK_H_
#define THRESHER_BENCHMARK_ENGINE_BENCHMARK_H_

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "benchmark/gemm_peak.h"
#include "engine/cpu/graph_engine.h"
#include "engine/engine.h"
#include "extract/unit_job.h"
#include "graph/graph.h"
#include "graph/hook_point.h"

namespace thresher {

// What is measured.
struct BenchmarkInputs {
  const Graph& graph;
  WeightLookup weights;
  std::vector<HookPoint> hooks;  // sorted
  UnitJob job;                   // with its batches
};

struct BenchmarkOptions {
  CpuEngineOptions engine;
  int64_t repeats = 3;       // passes that count; one more before them does not
  std::string write_folder;  // the rows of each batch go to a file there; empty: nowhere
};

// One pass over all batches.
struct BenchmarkPass {
  double seconds = 0;
  double wait_seconds = 0;  // of them, the engine for rows to be written
  // Thread time by kind of work.
  std::array<double, kWorkKinds> work_seconds = {};
};

struct BenchmarkReport {
  EngineInfo engine;
  int threads = 0;
  double load_seconds = 0;  // weights into the engine
  int64_t packed_bytes = 0;
  int64_t peak_memory_bytes = 0;  // of this process so far
  int64_t tokens = 0;             // of a pass
  int64_t sequences = 0;
  int64_t batches = 0;
  int64_t stored_bytes = 0;  // of a pass: rows and scales
  double flops = 0;          // of a pass
  // Measured in turns with the passes.
  GemmPeaks gemm_peaks;
  double disk_bytes_per_second = 0;  // writing the same bytes alone; 0: nothing is written
  std::vector<BenchmarkPass> passes;

  const BenchmarkPass& best() const;
  double tokens_per_second() const { return static_cast<double>(tokens) / best().seconds; }
  double flops_per_second() const { return flops / best().seconds; }
  double fraction_of_peak() const { return flops_per_second() / gemm_peaks.fastest; }
  double fraction_of_onednn_peak() const { return flops_per_second() / gemm_peaks.onednn; }
};

// `progress` is told what is being done.
Result<BenchmarkReport> RunEngineBenchmark(const BenchmarkInputs& inputs,
                                           const BenchmarkOptions& options,
                                           const std::function<void(const std::string&)>& progress);

}  // namespace thresher

#endif  // THRESHER_BENCHMARK_ENGINE_BENCHMARK_H_
