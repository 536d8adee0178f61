#ifndef THRESHER_VERIFY_SAMPLE_CENSUS_H_
#define THRESHER_VERIFY_SAMPLE_CENSUS_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "verify/finding.h"
#include "verify/run_records.h"

namespace thresher {

// Counts how often each sample of the run is accounted for: stored in a committed shard, rejected
// by a commit, or part of a unit that was set aside. Exactly once is right. One byte a sample.
// Count is thread-safe.
class SampleCensus {
 public:
  explicit SampleCensus(int64_t sample_count) : counts_(static_cast<size_t>(sample_count)) {}

  // Samples outside the run are passed over: they are findings elsewhere.
  void Count(int64_t sample);

  // Reports samples that are not accounted for exactly once, unit by unit. Units of which
  // `is_counted` is false could not be read, which is a finding already.
  void Report(const RunRecords& records, const std::vector<char>& is_counted,
              FindingLog& log) const;

 private:
  std::vector<std::atomic<uint8_t>> counts_;
};

}  // namespace thresher

#endif  // THRESHER_VERIFY_SAMPLE_CENSUS_H_
