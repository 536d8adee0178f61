#ifndef THRESHER_SIM_SIM_WORKER_H_
#define THRESHER_SIM_SIM_WORKER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/random.h"
#include "extract/ledger.h"
#include "extract/run_store.h"
#include "sim/protocol.h"
#include "sim/scheduler.h"
#include "sim/sim_clock.h"
#include "sim/workload.h"

namespace thresher::sim {

struct WorkerSettings {
  int64_t arenas = 2;
  int64_t stop_grace_ms = 25'000;
  int64_t beat_interval_ms = 5'000;
  int64_t idle_poll_ms = 1'000;
  int64_t max_consecutive_failures = 3;
  int64_t lease_ttl_ms = 180'000;
  std::optional<int64_t> worker_count;
  bool writes_manifest = true;
};

// Computing time of all workers.
struct WorkDone {
  int64_t computed_us = 0;
  int64_t useful_us = 0;      // of units that the same session committed, or handed over
  int64_t duplicated_us = 0;  // of units that another session committed
  int64_t committed_units = 0;
  int64_t duplicate_units = 0;
};

// One session of a worker: the pipeline of extract/worker.h with the ledger and the publisher of
// the product and a made-up engine. Its tasks are the worker's threads:
//   feeder    claims the next unit shortly before the one in hand is done
//   engine    sleeps for as long as a forward pass takes       (the task that calls Run)
//   uploader  publishes
//   beat      the heartbeat
class SimWorker {
 public:
  enum class Exit { kNone, kComplete, kStopped, kError };

  struct Parts {
    Scheduler& scheduler;
    Process& process;
    SimClock& clock;
    Store& store;
    Protocol& protocol;
    const Workload& workload;
    WorkDone& work_done;
    int64_t worker_id = 0;
    int64_t machine_number = 0;
    double speed = 1.0;
    std::string session;
    std::function<void(const std::string&)> trace;
    // Given: the run is there and known, so that many workers need not keep a copy each.
    const Run* shared_run = nullptr;
  };

  SimWorker(Parts parts, WorkerSettings settings)
      : p_(std::move(parts)), settings_(settings), changed_(p_.scheduler) {}

  // The body of the process's first task.
  void Run();
  // SIGTERM.
  void RequestStop();
  Exit exit() const { return exit_; }

 private:
  struct Unit {
    Ledger::Claimed claimed;
    int64_t computed_us = 0;
    int64_t batches_done = 0;
    bool whole = false;
  };

  Status Work();
  Status OpenRun();
  void Feed();
  void WaitUntilNeeded(int64_t units_fed);
  std::optional<Ledger::Claimed> ClaimOrWait();
  void Compute(Unit unit);
  Status ComputeBatch(Unit& unit, int64_t batch);
  void DieOfPoison();
  bool WorthFinishing(int64_t batches_left) const;
  void Upload();
  Status PublishUnit(const Unit& unit);
  Status HandOver(const Unit& unit);
  int64_t LoadHandover(int64_t unit);
  void FailUnit(const Unit& unit, LeaseEnd end, const Status& status);
  void GiveUp(const Status& status);
  void BeatUntilDone();
  Status Beat(const char* state);
  bool Stopping() const { return stop_requested_ || gave_up_; }
  int64_t InMs(int64_t duration_ms) const {
    return p_.clock.TrueTimeUs(p_.clock.MonotonicUs() + 1000 * duration_ms);
  }
  void Say(const std::string& text) const {
    if (p_.trace) p_.trace(p_.session + " " + text);
  }

  Parts p_;
  WorkerSettings settings_;
  Signal changed_;  // of anything below
  std::optional<thresher::Run> own_run_;
  const thresher::Run* run_ = nullptr;
  std::optional<Ledger> ledger_;
  Exit exit_ = Exit::kNone;

  std::optional<Unit> fed_;
  int64_t units_asked_for_ = 0;  // by the engine
  int64_t batch_us_ = 0;         // moving mean of a forward pass
  bool feeder_done_ = false;
  std::deque<Unit> sealed_;
  bool engine_done_ = false;
  bool uploader_done_ = false;
  bool beat_done_ = false;
  int64_t arenas_in_use_ = 0;

  std::set<int64_t> held_;
  bool stop_requested_ = false;
  int64_t stop_seen_ms_ = -1;
  bool gave_up_ = false;
  bool complete_ = false;
  bool slow_unit_met_ = false;
  int64_t units_ended_ = 0;
  int64_t consecutive_failures_ = 0;
  int64_t units_committed_ = 0;
  Status last_error_;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_SIM_WORKER_H_
