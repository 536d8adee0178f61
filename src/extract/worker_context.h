#ifndef THRESHER_EXTRACT_WORKER_CONTEXT_H_
#define THRESHER_EXTRACT_WORKER_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

#include "base/result.h"
#include "extract/unit_in_flight.h"
#include "extract/worker.h"
#include "work/keys.h"

namespace thresher {

// What the threads of one worker have in common besides the queues between them: what the worker
// works with, whether it is to stop, and what becomes of a unit that cannot be made. Thread-safe;
// what `parts` refers to has rules of its own.
class WorkerContext {
 public:
  // Both must outlive the context.
  WorkerContext(Worker::Parts& worker_parts, const Worker::Options& worker_options)
      : parts(worker_parts), options(worker_options) {}

  Worker::Parts& parts;
  const Worker::Options& options;

  // No unit is begun any more, and none goes on that cannot be committed in time.
  bool Stopping() const { return parts.stop.requested() || gave_up_.load(); }
  bool gave_up() const { return gave_up_; }
  // The worker ends with an error, of which the first is kept.
  void GiveUp(const Status& status);
  Status error() const;

  // Since when the worker has known that it was asked to stop; -1: it was not.
  std::atomic<int64_t> stop_seen_ms{-1};
  // Since when no heartbeat has got through; -1: the last one has.
  std::atomic<int64_t> beats_fail_since_ms{-1};

  // Ends the claim of a unit that was not made, and tells everybody why. Too many in a row, and the
  // worker gives up.
  void FailUnit(const UnitInFlight& unit, LeaseEnd end, const Status& status);
  // The unit was committed, by us or someone else, or handed over.
  void EndUnit(bool is_committed);
  // Units of ours that have ended, whatever came of them.
  int64_t units_ended() const { return units_ended_; }
  // Whether a unit has failed since the last call: whoever watches is to hear of it soon.
  bool TakeFailureNews() { return has_failure_news_.exchange(false); }

  // Sleep for so long, but return early when the worker is asked to stop, or when `condition` ends
  // to hold.
  void SleepUnlessStopping(int64_t duration_ms) const;
  void SleepWhile(int64_t duration_ms, const std::function<bool()>& condition) const;

  // This thread's name in the trace.
  void NameThread(const char* name) const {
    if (parts.trace) parts.trace->NameThread(name);
  }
  // What `wait` returns; the time it took is a wait in the trace.
  template <typename Fn>
  auto Wait(Fn wait) const {
    const TraceSpan span(parts.trace, "wait");
    return wait();
  }

 private:
  std::atomic<bool> gave_up_{false};
  std::atomic<int64_t> units_ended_{0};
  std::atomic<int64_t> consecutive_failures_{0};
  std::atomic<bool> has_failure_news_{false};
  mutable std::mutex error_mutex_;
  Status error_;  // guarded by error_mutex_
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_WORKER_CONTEXT_H_
