#ifndef THRESHER_SHARD_MERGED_STATISTICS_H_
#define THRESHER_SHARD_MERGED_STATISTICS_H_

#include <algorithm>
#include <cstdint>

#include "base/exact_sum.h"
#include "shard/statistics.h"

namespace thresher {

// Statistics of many shards, exact: the same whatever the order of the shards and however they were
// divided before merging.
class MergedStatistics {
 public:
  void Add(const TensorStatistics& shard) {
    total_.count += shard.count;
    total_.not_finite += shard.not_finite;
    total_.max_abs = std::max(total_.max_abs, shard.max_abs);
    sum_.Add(shard.sum);
    sum_squares_.Add(shard.sum_squares);
  }

  void Merge(const MergedStatistics& other) {
    total_.count += other.total_.count;
    total_.not_finite += other.total_.not_finite;
    total_.max_abs = std::max(total_.max_abs, other.total_.max_abs);
    sum_.Merge(other.sum_);
    sum_squares_.Merge(other.sum_squares_);
  }

  // The sums are those of the shards' sums, rounded once.
  TensorStatistics Total() const {
    TensorStatistics total = total_;
    total.sum = sum_.ToDouble();
    total.sum_squares = sum_squares_.ToDouble();
    return total;
  }

 private:
  TensorStatistics total_;  // without the sums
  ExactSum sum_;
  ExactSum sum_squares_;
};

}  // namespace thresher

#endif  // THRESHER_SHARD_MERGED_STATISTICS_H_
