#ifndef THRESHER_BENCHMARK_GEMM_PEAK_H_
#define THRESHER_BENCHMARK_GEMM_PEAK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/cpu/aligned_buffer.h"
#include "engine/cpu/matmul.h"
#include "graph/graph.h"

namespace thresher {

// FLOP/s of a model's linears.
struct GemmPeaks {
  double fastest = 0;  // each product by the fastest kernel there is
  double onednn = 0;   // by oneDNN's alone
};

// A model's linears alone, on as many rows as a batch has, each thread with its own rows as in the
// engine: what the engine could reach on this machine if nothing else took time. By oneDNN's
// kernels, and on the tile unit by our own too (AmxMultiply).
class GemmPeak {
 public:
  // The linears of `graph`, those of one input joined. `compute`: kF32 or kBf16.
  static Result<std::unique_ptr<GemmPeak>> Make(const Graph& graph, DType compute, int threads,
                                                int64_t tokens);

  // Runs each product once by each kernel. With the best time so far of each.
  Result<GemmPeaks> Measure();

 private:
  struct Kernel {
    const Matmul* matmul;
    double best_seconds = 1e30;
  };

  struct Product {
    MatmulShape shape;
    int64_t count = 0;            // in the graph
    std::vector<Kernel> kernels;  // oneDNN's, and on tiles
    AlignedBuffer left = {};
    AlignedBuffer right = {};
    std::vector<AlignedBuffer> out = {};  // one for each thread
  };

  GemmPeak(int threads, int64_t tokens);

  void AddProduct(const MatmulShape& shape, int64_t count);

  MatmulCache cache_;
  const int threads_;
  const int64_t chunk_rows_;
  const int64_t chunks_;
  std::vector<Product> products_;
  std::vector<MatmulCaller> callers_;  // one for each thread
};

}  // namespace thresher

#endif  // THRESHER_BENCHMARK_GEMM_PEAK_H_
