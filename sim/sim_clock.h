#ifndef THRESHER_SIM_SIM_CLOCK_H_
#define THRESHER_SIM_SIM_CLOCK_H_

#include <cstdint>

#include "base/clock.h"
#include "sim/scheduler.h"

namespace thresher::sim {

// A machine's clocks: the monotonic one runs at the machine's rate, and the wall clock jumps.
class SimClock : public Clock {
 public:
  SimClock(Scheduler& scheduler, const Machine& machine)
      : scheduler_(scheduler), machine_(machine) {}

  int64_t MonotonicUs() const override { return machine_.MonotonicUs(scheduler_.now_us()); }
  int64_t UnixMs() const override {
    return kUnixBaseMs + scheduler_.now_us() / 1000 + machine_.unix_offset_ms();
  }
  // Blocks the calling task; throws Killed if its process is killed.
  void SleepMs(int64_t duration_ms) override {
    const int64_t end_us = MonotonicUs() + 1000 * duration_ms;
    while (MonotonicUs() < end_us) scheduler_.SleepUntil(TrueTimeUs(end_us));
  }
  // When, in the simulator's time, this clock will show `monotonic_us` if nothing comes between.
  int64_t TrueTimeUs(int64_t monotonic_us) const {
    const auto left_us = static_cast<double>(monotonic_us - MonotonicUs());
    return scheduler_.now_us() + 1 + static_cast<int64_t>(left_us / machine_.clock_rate());
  }

 private:
  static constexpr int64_t kUnixBaseMs = 1'800'000'000'000;

  Scheduler& scheduler_;
  const Machine& machine_;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_SIM_CLOCK_H_
