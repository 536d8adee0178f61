#ifndef THRESHER_BENCHMARK_MATMUL_PEAK_H_
#define THRESHER_BENCHMARK_MATMUL_PEAK_H_

#include <memory>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/pjrt/pjrt_client.h"

namespace thresher {

// How fast devices multiply matrices when nothing else is to be done: a chain of products of square
// matrices, each of the last one's result, on all devices at once.
class MatmulPeak {
 public:
  // For the first `device_count` devices of `client`, which must outlive it. `compute`: kF32 or
  // kBf16.
  static Result<std::unique_ptr<MatmulPeak>> Make(const PjrtClient& client, int64_t device_count,
                                                  DType compute);

  // FLOP/s of all devices together, of one run.
  Result<double> Measure() const;

 private:
  explicit MatmulPeak(PjrtExecutable executable) : executable_(std::move(executable)) {}

  PjrtExecutable executable_;
  std::vector<PjrtDevice> devices_;
  std::vector<PjrtBuffer> matrices_;  // [devices]
  double flops_ = 0;                  // of a run
};

}  // namespace thresher

#endif  // THRESHER_BENCHMARK_MATMUL_PEAK_H_
