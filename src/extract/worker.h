#ifndef THRESHER_EXTRACT_WORKER_H_
#define THRESHER_EXTRACT_WORKER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/logger.h"
#include "base/result.h"
#include "base/trace.h"
#include "engine/engine.h"
#include "extract/ledger.h"
#include "extract/progress.h"
#include "extract/run_store.h"
#include "extract/shard_builder.h"
#include "extract/spool.h"
#include "sample/sample_set.h"
#include "store/store.h"

namespace thresher {

// Asks a worker to stop. Thread-safe; Request may be called from a signal handler.
class StopRequest {
 public:
  void Request() { requested_.store(true); }
  bool requested() const { return requested_.load(); }

 private:
  std::atomic<bool> requested_{false};
};

// How often a worker with this time to live shows that it is alive: often enough to miss several
// heartbeats before others take its units, and seldom enough for a store with 10,000 workers.
inline int64_t BeatIntervalMs(int64_t lease_ttl_ms) {
  return std::clamp<int64_t>(lease_ttl_ms / 12, 10, 15'000);
}

// One worker of a run: claims units and produces them until none is left. Its threads are a
// pipeline with bounded queues between:
//
//   feeder   claims the next unit shortly before it is needed, reads and tokenises it
//   engine   forward passes; outputs land in an arena at final offsets (the calling thread)
//   sealer   checksums and statistics over the rows as they arrive
//   uploader uploads, compares, commits; frees the arena
//   beat     the heartbeat and the progress report
class Worker {
 public:
  struct Options {
    int64_t arenas = 2;  // shards in memory at the same time
    // After a stop request a unit is finished only if that fits into the grace period; otherwise
    // what is done is handed over.
    int64_t stop_grace_ms = 25'000;
    int64_t beat_interval_ms = 15'000;
    int64_t idle_poll_ms = 1'000;
    int64_t max_consecutive_failures = 3;  // of units; then the worker gives up
    // The worker gives up at the first sample that cannot be used, and commits nothing of its unit;
    // otherwise such samples are recorded in the unit's commit.
    bool fail_on_bad_sample = false;
  };

  enum class Outcome {
    kComplete,  // every unit of the run is committed or set aside
    kStopped,   // stopped on request; the run can be resumed
  };

  // Everything is borrowed and must outlive the worker. `heartbeat` holds what does not change
  // (host, process, versions). `report` is called on the beat thread several times a second, and
  // once at the end. `log` hears of each unit's way and of what went wrong.
  struct Parts {
    Store& store;
    Clock& clock;
    const Run& run;
    Ledger& ledger;
    const SampleSet& samples;
    Engine& engine;
    ShardFormat format;
    Heartbeat heartbeat;
    Progress& progress;
    StopRequest& stop;
    Spool* spool = nullptr;  // null: no local copies
    std::function<void()> report;
    const Logger& log;
    TraceWriter* trace = nullptr;  // null: no trace
  };

  Worker(Parts parts, Options options) : parts_(std::move(parts)), options_(options) {}

  // Works until the run is complete, the stop request is seen, or nothing succeeds any more
  // (max_consecutive_failures units in a row failed): then the last error. Call once.
  Result<Outcome> Run();

 private:
  Parts parts_;
  Options options_;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_WORKER_H_
