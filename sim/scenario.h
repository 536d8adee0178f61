#ifndef THRESHER_SIM_SCENARIO_H_
#define THRESHER_SIM_SCENARIO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sim/fault_profile.h"
#include "sim/sim_worker.h"
#include "sim/workload.h"

namespace thresher::sim {

enum class Mishap : uint8_t {
  kKill,       // SIGKILL
  kStop,       // SIGTERM, and SIGKILL after the grace period
  kSuspend,    // the machine stands still for `lasts_us`
  kPartition,  // none of its requests gets through for `lasts_us`
  kWallClock,  // its wall clock jumps by `lasts_us`, forth or back
};

struct MishapAt {
  int64_t at_us = 0;
  Mishap mishap = Mishap::kKill;
  int64_t lasts_us = 0;
};

// A machine that runs one worker after another: what a cluster's scheduler would call a replica.
struct SlotPlan {
  int64_t worker_id = 0;
  int64_t begin_us = 0;
  int64_t restart_us = 5'000'000;  // from the end of a worker to the begin of the next
  double leave_probability = 0;    // when a worker ends before the faults do
  double clock_rate = 1.0;
  double speed = 1.0;  // of its engine
  std::vector<MishapAt> mishaps;
};

// Everything that a seed decides before the world begins to turn.
struct Scenario {
  uint64_t seed = 0;
  Workload workload;
  WorkerSettings worker;
  StoreProfile store;
  std::vector<SlotPlan> slots;
  int64_t faults_end_us = 0;
  int64_t deadline_us = 0;  // the work is done by then, or something is wrong

  // The least time that the workload takes on so many machines of speed 1 that never fail.
  int64_t IdealUs() const;
  std::string Describe() const;
};

Scenario DrawScenario(uint64_t seed);

// Without any fault, as a base for hand-made ones.
Scenario CalmScenario(int64_t workers, int64_t units);

}  // namespace thresher::sim

#endif  // THRESHER_SIM_SCENARIO_H_
