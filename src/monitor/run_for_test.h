#ifndef THRESHER_MONITOR_RUN_FOR_TEST_H_
#define THRESHER_MONITOR_RUN_FOR_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "extract/run_store.h"
#include "store/store.h"

namespace thresher {

// The store's clock, moved by hand.
class HandClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return 1000 * now_ms_; }
  int64_t UnixMs() const override { return now_ms_; }
  void SleepMs(int64_t duration_ms) override { now_ms_ += duration_ms; }

 private:
  int64_t now_ms_ = 1'000'000;
};

// Begins a run of samples of equal size, of which `unit_samples` make a unit.
inline Run BeginRunForTest(Store& store, int64_t samples, int64_t unit_samples) {
  RunSpec spec;
  spec.model.layer_count = 1;
  spec.model.hidden_size = 8;
  spec.dataset.sample_count = samples;
  spec.capture = {.hooks = {"hook_embed"},
                  .dtype = "bf16",
                  .compute = "f32",
                  .engine = "cpu",
                  .batch_tokens = 16};
  spec.shard_bytes = 1;
  const std::vector<int64_t> estimates(static_cast<size_t>(samples), 1);
  const auto run = CreateOrJoinRun(store, spec, {.make_plan = [&](SampleRange) -> Result<Plan> {
                                     return Plan::Balanced(estimates, unit_samples);
                                   }});
  EXPECT_TRUE(run.ok()) << run.status().message();
  return *run;
}

}  // namespace thresher

#endif  // THRESHER_MONITOR_RUN_FOR_TEST_H_
