#ifndef THRESHER_EXTRACT_SMALL_RUN_FOR_TEST_H_
#define THRESHER_EXTRACT_SMALL_RUN_FOR_TEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "extract/run_store.h"
#include "store/store.h"
#include "work/keys.h"

namespace thresher {

// Runs of records alone: no model, no data set, no shards.

// A data set of so many samples: two of them agree in as many first samples as the shorter has.
inline std::string FingerprintOfSamples(int64_t count) {
  return "samples:" + std::to_string(count);
}

inline RunSpec SmallSpec(int64_t samples) {
  RunSpec spec;
  spec.model = {"m", "Fake", 2, 24, "c", "w"};
  spec.dataset = {"d.jsonl", FingerprintOfSamples(samples), samples};
  spec.prompts = {"p", {{"max_tokens", "16"}}};
  spec.capture = {.hooks = {"hook_embed"},
                  .dtype = "bf16",
                  .compute = "f32",
                  .engine = "fake",
                  .batch_tokens = 16};
  spec.shard_bytes = 100;
  return spec;
}

// Units of two samples.
inline Result<Plan> TwoByTwo(SampleRange samples) {
  return Plan::Balanced(std::vector<int64_t>(static_cast<size_t>(samples.count), 1), 2);
}

inline JoinParts SmallParts(bool extend = false) {
  return {.make_plan = TwoByTwo, .dataset_fingerprint = FingerprintOfSamples, .extend = extend};
}

inline void CommitUnit(Store& store, const Run& run, int64_t unit, int64_t rejected = 0) {
  const SampleRange samples = run.plan.Samples(unit);
  Commit commit;
  commit.run_fingerprint = run.fingerprint;
  commit.unit = unit;
  commit.epoch = 1;
  commit.bytes = 1;
  commit.session = "s";
  commit.first_sample = samples.first;
  commit.sample_count = samples.count;
  commit.shard = ShardKey(0, unit, 1, "s");
  for (int64_t i = 0; i < rejected; ++i) commit.rejected.push_back({samples.first + i, "bad"});
  const Result<CreatedRecord> created = CreateRecord(store, CommitKey(unit), commit.ToText());
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(created->creation, Creation::kOurs);
}

inline void CommitAll(Store& store, const Run& run) {
  const Result<std::vector<int64_t>> done = ListUnits(store, kCommitsPrefix, run.plan.unit_count());
  for (int64_t unit = 0; unit < run.plan.unit_count(); ++unit) {
    if (!std::binary_search(done->begin(), done->end(), unit)) CommitUnit(store, run, unit);
  }
}

// Time passes only while somebody sleeps.
class SleepClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return now_us_; }
  int64_t UnixMs() const override { return now_us_ / 1000; }
  void SleepMs(int64_t duration_ms) override {
    now_us_ += duration_ms * 1000;
    if (on_sleep) on_sleep();
  }

  std::function<void()> on_sleep;

 private:
  int64_t now_us_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_SMALL_RUN_FOR_TEST_H_
