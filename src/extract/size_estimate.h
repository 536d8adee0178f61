#ifndef THRESHER_EXTRACT_SIZE_ESTIMATE_H_
#define THRESHER_EXTRACT_SIZE_ESTIMATE_H_

#include <cstdint>
#include <span>
#include <vector>

namespace thresher {

// A sample that was read, and what it adds to a shard.
struct ExaminedSample {
  int64_t index = 0;
  int64_t record_bytes = 0;
  int64_t shard_bytes = 0;  // 0: rejected
};

// What samples that were not read add to their shards, learned from some that were: as a function
// of the record's length, corrected for where in the data set the sample stands.
//
//   1. The examined samples, ordered by length, fall into groups; the means of the groups are the
//      knots of a piecewise linear function. The longest ones have smaller groups, so that the bend
//      where samples begin to be cut is in its place.
//   2. Consecutive examined samples form blocks. Where the samples of a block are larger or smaller
//      than the function says by more than chance explains, so are their neighbours.
//
// Immutable; thread-safe. A pure function of what it was learned from.
class SizeEstimate {
 public:
  // `examined`: not empty, indices ascending.
  static SizeEstimate Learn(std::span<const ExaminedSample> examined);

  // Not negative.
  int64_t Of(int64_t index, int64_t record_bytes) const;

  // Root mean square of what the examined samples differ from their estimates by, divided by their
  // mean: 0.1 means that a unit of 100 samples is off by about 1 %.
  double relative_error() const { return relative_error_; }

 private:
  struct Point {
    double x = 0;
    double y = 0;
  };
  SizeEstimate() = default;

  static std::vector<Point> Knots(std::span<const ExaminedSample> examined);
  std::vector<Point> Corrections(std::span<const ExaminedSample> examined) const;
  double ByLength(int64_t record_bytes) const;
  double Correction(int64_t index) const;

  std::vector<Point> knots_;        // (record bytes, shard bytes), x rises strictly
  std::vector<Point> corrections_;  // (sample index, factor), x rises strictly
  double relative_error_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_SIZE_ESTIMATE_H_
