#ifndef THRESHER_SHARD_STATISTICS_H_
#define THRESHER_SHARD_STATISTICS_H_

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace thresher {

// Statistics of one hook point's stored values, exact to merge: the sums of two shards add up to
// those of both. Values that are not finite are counted and left out of the sums.
struct TensorStatistics {
  int64_t count = 0;       // values, = rows * width
  int64_t not_finite = 0;  // NaN and infinities among them
  double sum = 0;
  double sum_squares = 0;
  double max_abs = 0;

  void Merge(const TensorStatistics& other);
};

// What the sums say of the finite values; zeros if there is none.
struct Moments {
  double mean = 0;
  double standard_deviation = 0;
  double root_mean_square = 0;
  double norm = 0;  // of all values as one vector: the root of the sum of squares
};
Moments MomentsOf(const TensorStatistics& statistics);

// Of contiguous stored rows (see convert.h). The result is the same for the same bytes on every
// machine: the order of summation is fixed and does not depend on the processor's vector length.
TensorStatistics ComputeStatistics(const std::byte* in, const float* scales, int64_t rows,
                                   int64_t width, DType dtype);

}  // namespace thresher

#endif  // THRESHER_SHARD_STATISTICS_H_
