#ifndef THRESHER_EXTRACT_PLANNER_H_
#define THRESHER_EXTRACT_PLANNER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "extract/shard_builder.h"
#include "sample/sample_set.h"
#include "work/plan.h"

namespace thresher {

// How large shards should be, and what they are made of, in bytes.
struct UnitSize {
  int64_t shard_bytes = 0;         // wished
  int64_t bytes_per_row = 1;       // of a stored token, all hook points together
  int64_t bytes_per_sequence = 0;  // beside its rows and its sample's key
  int64_t bytes_per_shard = 0;     // the header's fixed part

  static UnitSize Of(const ShardFormat& format, int64_t shard_bytes);

  // The most tokens that the model reads for a unit, on average: a unit is what a worker that dies
  // may lose, so with few stored rows (--tokens last) shards become smaller than wished. A million,
  // or eight times what fills a shard when all rows are stored.
  int64_t MostTokens() const;

  // What a sample adds to its shard.
  int64_t BytesOf(const Sample& sample) const;
};

// The rows that are stored of a sample.
int64_t StoredRows(const Sample& sample);

// Told of each sample that was read, in ascending order, on the calling thread.
using SampleObserver = std::function<void(int64_t index, const SampleOrRejection& sample)>;

// Data sets up to this size are read wholly; of larger ones, so much of their records' text at
// most, evenly spread.
inline constexpr int64_t kMaxSamplesReadWholly = 20'000;
inline constexpr int64_t kMaxSamplesExamined = 4096;
inline constexpr int64_t kMaxBytesExamined = int64_t{16} << 20;

// The units of the samples `range`; the plan counts them from 0. Small data sets are read wholly;
// of others, some thousand evenly spread samples are, and the rest is estimated (SizeEstimate).
// A pure function of its arguments, whoever calls it. kInvalidArgument, with the first reason, if
// none of the samples that were read can be used. Uses all cores for a few seconds at most.
Result<Plan> PlanUnits(const SampleSet& samples, SampleRange range, const UnitSize& size,
                       const SampleObserver& observe = nullptr);

// Ends of units of about `unit_bytes` each: sample s adds sample_bytes[s]. Every unit has at least
// one sample.
//   - A sample of `unit_bytes` or more is a unit of its own.
//   - The samples between two of those become equal units if those then are within 5 % of
//     `unit_bytes`, as ten units or more always are; else units of `unit_bytes` and one of what
//     is left.
//   - Each differs from that by at most half the sample at either end.
//   - What lies between two large samples and is less than 5 % of a unit goes with one of them.
std::vector<int64_t> UnitEnds(std::span<const int64_t> sample_bytes, int64_t unit_bytes);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_PLANNER_H_
