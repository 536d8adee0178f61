#ifndef THRESHER_SIM_SCALE_H_
#define THRESHER_SIM_SCALE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/network.h"
#include "sim/sim_worker.h"

namespace thresher::sim {

// A large run on a well-behaved store, for figures of cost instead of correctness.
struct ScaleOptions {
  int64_t workers = 10'000;
  int64_t units = 1'000'000;
  double preempt_per_hour = 0.3;  // of each machine; a new one comes after restart_seconds
  double unit_seconds = 60;
  double speed_spread = 0.05;  // machines are up to so much faster or slower than the mean
  double restart_seconds = 30;
  double notice_seconds = 0;  // from SIGTERM to SIGKILL at a pre-emption; 0: no notice
  double start_seconds = 60;  // machines come up within this time
  double upload_seconds = 5;  // of one shard, beside the computing of the next
  double latency_ms = 20;
  int64_t lease_ttl_ms = 180'000;
  int64_t beat_interval_ms = 5'000;
  bool known_worker_count = true;
  uint64_t seed = 1;
};

struct ScaleReport {
  double ideal_seconds = 0;
  double makespan_seconds = 0;  // until the last unit is committed
  int64_t preemptions = 0;
  WorkDone work;
  RequestCounts requests;
  struct Phase {
    std::string name;
    double seconds = 0;
    RequestCounts requests;
    double peak_per_second = 0;  // over any whole second
  };
  std::vector<Phase> phases;  // start, steady, end
  bool complete = false;
};

// `progress` is called once for each simulated minute.
ScaleReport SimulateScale(
    const ScaleOptions& options,
    const std::function<void(double now_seconds, int64_t committed)>& progress);

std::string DescribeScale(const ScaleOptions& options, const ScaleReport& report);

}  // namespace thresher::sim

#endif  // THRESHER_SIM_SCALE_H_
