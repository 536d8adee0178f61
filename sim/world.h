#ifndef THRESHER_SIM_WORLD_H_
#define THRESHER_SIM_WORLD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/random.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/protocol.h"
#include "sim/scenario.h"
#include "sim/scheduler.h"
#include "sim/sim_clock.h"
#include "sim/sim_store.h"
#include "sim/sim_worker.h"
#include "sim/store_state.h"

namespace thresher::sim {

using ProtocolFactory = std::function<std::unique_ptr<Protocol>()>;
using TraceSink = std::function<void(const std::string&)>;

// What came of one world.
struct WorldReport {
  uint64_t seed = 0;
  std::string failure;  // the first thing that was wrong; empty: nothing was
  double failed_at_seconds = 0;
  double finished_at_seconds = 0;  // the first worker that found the run complete
  double makespan_over_ideal = 0;
  int64_t unit_count = 0;
  int64_t kills = 0;
  int64_t innocents_set_aside = 0;
  int64_t sessions = 0;
  int64_t events = 0;
  RequestCounts requests;
  WorkDone work;
};

// One simulated cluster, from its first worker to the end of its run. No state outside of it: two
// worlds may turn on two threads.
class World {
 public:
  struct Options {
    ProtocolFactory protocol;  // none: the product's
    TraceSink trace;           // a line for each event; none: no trace
    bool checks = true;        // without: no oracle, no final worker
    const Run* shared_run = nullptr;
  };

  World(const Scenario& scenario, Options options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  WorldReport Turn();

  // For measurements while it turns.
  Scheduler& scheduler() { return scheduler_; }
  StoreState& state() { return state_; }
  const Network& network() const { return network_; }

 private:
  struct Session;
  struct Slot {
    explicit Slot(const SlotPlan& slot_plan) : plan(slot_plan), machine(slot_plan.clock_rate) {}

    SlotPlan plan;
    Machine machine;
    int64_t number = 0;
    Session* session = nullptr;  // now running, or null
    bool starting = false;
    bool gone = false;  // complete, or left
    bool complete = false;
  };

  void StartSession(Slot& slot);
  void OnEnd(Slot& slot);
  void ScheduleStart(Slot& slot, int64_t at_us);
  void ScheduleMishap(Slot& slot, const MishapAt& mishap);
  void Strike(Slot& slot, const MishapAt& mishap);
  void StrikeSession(Slot& slot, Mishap mishap);
  void ReviveEverybody();
  void Fail(const std::string& what);
  void Say(const std::string& text);
  bool EverybodyGone() const;
  void CheckLiveness();
  void RunFinalWorker();

  const Scenario& scenario_;
  Options options_;
  Scheduler scheduler_;
  std::optional<Oracle> oracle_;
  StoreState state_;
  Network network_;
  WorkDone work_;
  Random session_ids_;
  Random fortune_;
  std::deque<Slot> slots_;
  std::deque<std::unique_ptr<Session>> sessions_;
  WorldReport report_;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_WORLD_H_
