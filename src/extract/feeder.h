#ifndef THRESHER_EXTRACT_FEEDER_H_
#define THRESHER_EXTRACT_FEEDER_H_

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/bounded_queue.h"
#include "extract/ledger.h"
#include "extract/unit_in_flight.h"
#include "extract/worker_context.h"

namespace thresher {

// What the engine's thread tells the feeder. Thread-safe.
struct EnginePace {
  std::atomic<int64_t> units_asked_for{0};
  std::atomic<int64_t> batch_us{0};  // moving mean of a forward pass; 0: there was none
};

// Claims units, shortly before the engine needs them, reads and tokenises them.
class Feeder {
 public:
  // Everything is borrowed.
  Feeder(WorkerContext& context, const EnginePace& pace, BoundedQueue<UnitPointer>& fed)
      : context_(context), worker_(context.parts), pace_(pace), fed_(fed) {}

  // Until the run is complete or the worker stops; closes the queue. A thread of its own.
  void Run();

  // After Run: every unit of the run is committed or set aside.
  bool found_run_complete() const { return found_run_complete_; }

 private:
  void WaitUntilNeeded(int64_t units_fed, int64_t batches_in_hand, int64_t lead_us) const;
  std::optional<Ledger::Claimed> ClaimOrWait();
  UnitPointer Tokenise(const Ledger::Claimed& claimed);

  WorkerContext& context_;
  Worker::Parts& worker_;
  const EnginePace& pace_;
  BoundedQueue<UnitPointer>& fed_;
  // Says once for what a worker without work waits.
  void SayWhatIsAwaited(int64_t waiting_since_ms);

  int64_t units_claimed_ = 0;
  bool said_what_is_awaited_ = false;
  bool found_run_complete_ = false;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_FEEDER_H_
