#ifndef THRESHER_MONITOR_RUN_SUMMARY_H_
#define THRESHER_MONITOR_RUN_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "extract/run_store.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

// What the commits of a run say together.
struct RunSummary {
  int64_t committed_count = 0;
  int64_t quarantined_count = 0;  // set aside and not committed
  int64_t samples_stored = 0;
  int64_t samples_rejected = 0;
  int64_t samples_truncated = 0;
  int64_t tokens = 0;          // stored
  int64_t forward_tokens = 0;  // that the model read
  int64_t bytes = 0;
  std::vector<HookStatistics> statistics;  // of all stored values, in the order of run.json
  std::vector<Commit> first_commits;       // up to kListedCommits, ascending by unit
  std::vector<std::string> unreadable;     // commits that could not be read, and why
};

inline constexpr size_t kListedCommits = 5;

// Reads every commit. A commit that cannot be read is listed and not counted.
Result<RunSummary> SummariseRun(Store& store, const Run& run);

}  // namespace thresher

#endif  // THRESHER_MONITOR_RUN_SUMMARY_H_
