#ifndef THRESHER_MONITOR_COMMIT_SAMPLE_H_
#define THRESHER_MONITOR_COMMIT_SAMPLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "extract/run_store.h"
#include "monitor/run_status.h"
#include "store/store.h"

namespace thresher {

// The commits of a run as far as they are read: all, or a sample that stays the same while the run
// grows. Not thread-safe.
class CommitSample {
 public:
  // Reads commits of `committed` (ascending) that are not known yet: all if `all`, else those of
  // the sample, at most kMostSampled.
  void Read(Store& store, const std::vector<int64_t>& committed, bool all);

  // Fills in the totals over `committed`, `rejected`, `shard_bytes` and the unreadable commits.
  // Where only a sample was read, tokens and bytes in proportion to the units' samples.
  void Describe(const Run& run, const std::vector<int64_t>& committed, RunStatus& status) const;

  // Reads the lengths of sequences from some shards of the sample, and fills in `sequence_tokens`.
  // A shard that cannot be read is passed over.
  void DescribeSequences(Store& store, RunStatus& status);

  static constexpr size_t kMostSampled = 512;
  static constexpr size_t kShardsOpened = 32;

 private:
  // What is kept of a commit.
  struct Entry {
    int64_t samples_stored = 0;
    int64_t truncated = 0;
    int64_t tokens = 0;
    int64_t forward_tokens = 0;
    int64_t bytes = 0;
    std::string shard;
    std::vector<RejectedSample> rejected;  // the first kListedRejections
    int64_t rejected_count = 0;
  };

  std::map<int64_t, Entry> entries_;                 // by unit
  std::map<int64_t, std::string> unreadable_;        // by unit: why
  std::map<int64_t, std::vector<int64_t>> lengths_;  // by unit, of the shards that were opened
};

// The units of `committed` that are sampled: all if they are few, else up to
// CommitSample::kMostSampled that do not depend on what else is committed but by their number.
std::vector<int64_t> SampledUnits(const std::vector<int64_t>& committed);

}  // namespace thresher

#endif  // THRESHER_MONITOR_COMMIT_SAMPLE_H_
