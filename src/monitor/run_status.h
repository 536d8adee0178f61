#ifndef THRESHER_MONITOR_RUN_STATUS_H_
#define THRESHER_MONITOR_RUN_STATUS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
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

enum class WorkerState {
  kRunning,
  kSilent,    // says that it runs, and has missed its last heartbeats: slow, stopped, or dead
  kLost,      // the same, for longer than the time to live: others take its units
  kReplaced,  // the same, and a newer session has the same worker id
  kEnding,    // says that it runs, and the run is finished: it is about to say that it has stopped
  kStopped,   // says that it has stopped
};

// "running", "silent", "lost", "replaced", "ending", "stopped".
std::string_view WorkerStateName(WorkerState state);

// One session of a worker.
struct WorkerStatus {
  Heartbeat heartbeat;
  int64_t age_ms = 0;  // since the heartbeat was written, in the store's time
  WorkerState state = WorkerState::kStopped;
  int64_t restarts = 0;  // sessions of this worker id that began before
  // How long it has held units without computing a batch or ending a unit; 0 if it is not running.
  int64_t stalled_ms = 0;

  bool is_alive() const { return state == WorkerState::kRunning || state == WorkerState::kSilent; }
};

enum class UnitCondition : uint8_t {
  kOpen,         // nobody has claimed it
  kHeld,         // a worker that is alive says that it holds it
  kWaiting,      // it was claimed, and nobody alive says that he holds it: anybody may have it
  kCommitted,    //
  kQuarantined,  // set aside, and not committed
};
inline constexpr size_t kUnitConditions = 5;
std::string_view UnitConditionName(UnitCondition state);  // "open", "held", ...

// From where the sums over committed units are.
enum class TotalsSource {
  kCommits,   // every commit was read: exact
  kManifest,  // the run is complete and its manifest says so: exact
  kSample,    // some hundred commits were read, the others estimated from their samples
};
std::string_view TotalsSourceName(TotalsSource source);  // "commits", "manifest", "sample"

// Counts over a range: bin i holds values from first * 2^i up to twice that.
struct Histogram {
  int64_t first = 1;
  std::vector<int64_t> counts;

  void Add(int64_t value);
};

// How many units were finished in a stretch of time; the store's time.
struct FinishedBin {
  int64_t end_ms = 0;
  int64_t units = 0;
};

// What a run's folder says about its progress.
struct RunStatus {
  std::string url;
  RunState state = RunState::kIncomplete;
  int64_t unit_count = 0;
  int64_t committed_count = 0;
  int64_t sample_count = 0;  // of the run
  // Over the committed units that can be read:
  TotalsSource totals_source = TotalsSource::kCommits;
  int64_t samples_stored = 0;
  int64_t samples_rejected = 0;
  int64_t samples_truncated = 0;
  int64_t tokens = 0;          // stored
  int64_t forward_tokens = 0;  // that the model read for them
  int64_t bytes = 0;
  std::vector<Quarantine> quarantined;   // the first kListedQuarantines, ascending by unit
  int64_t quarantined_count = 0;         // units that are set aside and not committed
  std::vector<RejectedSample> rejected;  // the first kListedRejections that were read
  // Of claims. In runs of more than kListedLeaseUnits units they are not listed: what workers say
  // of their own claims counts instead, and the first and last are unknown.
  bool are_leases_listed = true;
  int64_t lease_count = 0;            // units that were ever claimed
  int64_t taken_over_count = 0;       // units that were claimed more than once
  int64_t largest_epoch = 0;          // claims of the unit that was claimed most often
  int64_t failed_attempts = 0;        // claims that ended as failed
  int64_t duplicates = 0;             // shards that were thrown away, as far as heartbeats tell
  std::vector<WorkerStatus> workers;  // the newest session of each worker id first
  std::array<int64_t, 6> worker_counts = {};  // sessions by WorkerState
  std::vector<std::string> unreadable;        // records that could not be read, and why

  int64_t now_ms = 0;      // the store's time, as far as is known
  int64_t started_ms = 0;  // run.json was written
  int64_t ended_ms = 0;    // 0: not yet; else when the last unit was finished
  // When the last unit was finished; run.json's time if none is.
  int64_t last_finished_ms = 0;
  double tokens_per_second = 0;          // that workers alive compute now
  double bytes_per_second = 0;           // of shards, that they upload
  double overall_tokens_per_second = 0;  // computed for what is committed, since the run began
  double overall_bytes_per_second = 0;
  std::optional<int64_t> remaining_ms;  // at the speed of now; nothing if unknown
  double machine_hours = 0;             // of all sessions, as far as heartbeats tell

  std::vector<UnitCondition> units;                       // by unit
  std::array<int64_t, kUnitConditions> unit_counts = {};  // by UnitCondition
  std::vector<FinishedBin> finished;  // ascending by end_ms, up to kTimeBins of them
  Histogram shard_bytes{.first = 1024, .counts = {}};
  Histogram sequence_tokens{.first = 1, .counts = {}};  // of a sample of shards; may be empty

  bool IsFinished() const {
    return state == RunState::kComplete || state == RunState::kCompleteWithExceptions;
  }
  int64_t finished_count() const { return committed_count + quarantined_count; }
  int64_t CountOf(WorkerState worker_state) const {
    return worker_counts[static_cast<size_t>(worker_state)];
  }
};

inline constexpr size_t kListedRejections = 20;
inline constexpr size_t kListedQuarantines = 100;
inline constexpr int64_t kListedLeaseUnits = 20'000;
inline constexpr int64_t kExactTotalsUnits = 2'000;
inline constexpr size_t kTimeBins = 120;

// A time to live for those whose heartbeats do not name theirs.
inline constexpr int64_t kUsualLeaseTtlMs = 180'000;

struct RunStatusOptions {
  // A worker whose heartbeat is older counts as lost; 0: the time to live that it names itself.
  int64_t lease_ttl_ms = 0;
  bool exact = false;                  // reads every commit, however many there are
  bool read_sequence_lengths = false;  // of a sample of shards, for the histogram
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
