#ifndef THRESHER_MONITOR_RUN_STATUS_H_
#define THRESHER_MONITOR_RUN_STATUS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "extract/run_store.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

enum class RunState {
  kRunning,                 // units are missing and a worker is alive
  kIncomplete,              // units are missing and no worker is alive: start some
  kComplete,                // every unit is committed and every sample is stored
  kCompleteWithExceptions,  // every unit is finished, but samples were rejected or units set aside
};

// "running", "incomplete", "complete", "complete with exceptions".
std::string_view RunStateName(RunState state);

struct WorkerStatus {
  Heartbeat heartbeat;
  int64_t age_ms = 0;     // since the heartbeat was written, in the store's time
  bool is_alive = false;  // says "running" and is younger than the time to live
};

// What a run's folder says about its progress.
struct RunStatus {
  std::string url;
  RunState state = RunState::kIncomplete;
  int64_t unit_count = 0;
  int64_t committed_count = 0;
  int64_t sample_count = 0;      // of the run
  int64_t samples_stored = 0;    // by committed units
  int64_t samples_rejected = 0;  // by committed units
  int64_t samples_truncated = 0;
  int64_t tokens = 0;          // stored
  int64_t forward_tokens = 0;  // that the model read for them
  int64_t bytes = 0;
  std::vector<Quarantine> quarantined;   // units that are set aside and not committed
  std::vector<RejectedSample> rejected;  // the first kListedRejections
  int64_t lease_count = 0;               // units that were ever claimed
  int64_t taken_over_count = 0;          // units that were claimed more than once
  int64_t largest_epoch = 0;             // claims of the unit that was claimed most often
  std::vector<WorkerStatus> workers;     // the newest session of each worker id first
  std::vector<std::string> unreadable;   // records that could not be read, and why
  double tokens_per_second = 0;          // of all workers that are alive
  std::optional<int64_t> remaining_ms;   // at that speed; nothing if unknown
};

inline constexpr size_t kListedRejections = 20;

struct RunStatusOptions {
  int64_t lease_ttl_ms = 180'000;  // a worker whose heartbeat is older counts as gone
  // The reader's own idea of the store's time. A reader writes nothing, and so can only see that
  // the store's time is at least the newest timestamp of the run; after the last worker has died,
  // that stands still. The later of the two is taken. Only what people see rests on it.
  int64_t now_unix_ms = 0;
};

// Reads the state of a run from its store alone. A record that cannot be read is listed and counts
// as if it were not there. kNotFound if there is no run.
Result<RunStatus> ReadRunStatus(Store& store, const RunStatusOptions& options);

}  // namespace thresher

#endif  // THRESHER_MONITOR_RUN_STATUS_H_
