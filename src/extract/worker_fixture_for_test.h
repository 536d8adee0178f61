#ifndef THRESHER_EXTRACT_WORKER_FIXTURE_FOR_TEST_H_
#define THRESHER_EXTRACT_WORKER_FIXTURE_FOR_TEST_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/collected_log_for_test.h"
#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "extract/fake_engine_for_test.h"
#include "extract/planner.h"
#include "extract/worker.h"
#include "work/keys.h"

namespace thresher {

inline constexpr int64_t kBatchTokens = 64;

// Sleeps return at once, so that retries and idle polls cost no time; the rest is real.
class HastyClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return Clock::Real().MonotonicUs() + 1000 * slept_ms_; }
  int64_t UnixMs() const override { return Clock::Real().UnixMs(); }
  void SleepMs(int64_t duration_ms) override {
    slept_ms_ += duration_ms;
    std::this_thread::yield();
  }

 private:
  std::atomic<int64_t> slept_ms_{0};
};

inline std::string WriteDataset(const std::string& folder, int64_t sample_count) {
  const std::string path = folder + "/data.jsonl";
  std::ofstream file(path);
  Random random(7);
  for (int64_t i = 0; i < sample_count; ++i) {
    file << "{\"id\": \"s" << i << "\", \"token_ids\": [" << i % 50;
    const uint64_t more = random.Below(40);
    for (uint64_t t = 0; t < more; ++t) file << "," << random.Below(50);
    file << "]}\n";
  }
  return path;
}

// A data set, a run over it, and what its shards must hold.
class WorkerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto samples = SampleSet::Open(WriteDataset(folder_.path(), 200), folder_.path(),
                                   {.settings = settings_, .vocabulary_size = 50});
    ASSERT_TRUE(samples.ok()) << samples.status().message();
    samples_ = std::make_unique<SampleSet>(*std::move(samples));
    format_.hooks = {{"blocks.0.hook_resid_post", 24}, {"blocks.1.hook_resid_post", 24}};
    format_.dtype = DType::kBf16;
    spec_.model = {"m", "Fake", 2, 24, "c", "w"};
    spec_.dataset = {samples_->address(),
                     samples_->FingerprintOfFirst(samples_->sample_count()).value(),
                     samples_->sample_count()};
    spec_.prompts = {samples_->reader().fingerprint(), samples_->reader().settings().ToMap()};
    for (const ShardHook& hook : format_.hooks) spec_.capture.hooks.push_back(hook.name);
    spec_.capture.dtype = "bf16";
    spec_.capture.compute = "f32";
    spec_.capture.engine = "fake";
    spec_.capture.batch_tokens = kBatchTokens;
    spec_.shard_bytes = 30'000;
    format_.run_fingerprint = spec_.Fingerprint();
  }

  Result<thresher::Run> Join(Store& store) {
    const auto make_plan = [&](SampleRange range) {
      return PlanUnits(*samples_, range, {.shard_bytes = 300});
    };
    return CreateOrJoinRun(store, spec_, {.make_plan = make_plan});
  }

  struct WorkerRun {
    Result<Worker::Outcome> outcome = Cancelled("did not run");
    Progress progress;
    StopRequest stop;
    CollectedLog log;
  };

  // `spool` may be null.
  void RunWorker(Store& store, FakeEngine& engine, int64_t worker_id, WorkerRun& result,
                 Worker::Options options = {}, Spool* spool = nullptr) {
    const Result<thresher::Run> run = Join(store);
    if (!run.ok()) {
      result.outcome = run.status();
      return;
    }
    options.idle_poll_ms = 20;
    const std::string session = RandomSessionId();
    Ledger ledger(store, clock_, *run,
                  {.worker_id = worker_id, .session = session, .lease_ttl_ms = lease_ttl_ms_});
    Heartbeat heartbeat;
    heartbeat.session = session;
    heartbeat.worker_id = worker_id;
    Worker worker({.store = store,
                   .clock = clock_,
                   .run = *run,
                   .ledger = ledger,
                   .samples = *samples_,
                   .engine = engine,
                   .format = format_,
                   .heartbeat = heartbeat,
                   .progress = result.progress,
                   .stop = result.stop,
                   .spool = spool,
                   .report = [] {},
                   .log = result.log.logger()},
                  options);
    result.outcome = worker.Run();
  }

  // `first` is stopped without grace in the pass after `batches` (the default: in the middle of the
  // second unit); `second` makes the rest, and computes nothing again.
  void StopAndResume(Store& store, FakeEngine& first, FakeEngine& second, WorkerRun& stopped,
                     int64_t batches = 3) {
    first.before_forward = [&, batches](const PackedBatch&) {
      if (first.batches_computed == batches) stopped.stop.Request();
      return OkStatus();
    };
    RunWorker(store, first, 0, stopped, {.stop_grace_ms = 0});
    ASSERT_TRUE(stopped.outcome.ok()) << stopped.outcome.status().message();
    EXPECT_EQ(*stopped.outcome, Worker::Outcome::kStopped);

    WorkerRun resumed;
    RunWorker(store, second, 1, resumed);
    ASSERT_TRUE(resumed.outcome.ok()) << resumed.outcome.status().message();
    EXPECT_EQ(*resumed.outcome, Worker::Outcome::kComplete);
    EXPECT_EQ(first.tokens_computed + second.tokens_computed, TotalTokens());
    ExpectWhole(store);
  }

  // Every unit has one commit, and its shard is there and holds exactly what the data set and the
  // fake engine say.
  void ExpectCommittedShards(Store& store) {
    const Result<thresher::Run> run = LoadRun(store);
    ASSERT_TRUE(run.ok()) << run.status().message();
    for (int64_t unit = 0; unit < run->plan.unit_count(); ++unit) {
      const Result<Commit> commit = ReadCommit(store, unit);
      ASSERT_TRUE(commit.ok()) << commit.status().message();
      std::vector<std::byte> stored(static_cast<size_t>(commit->bytes));
      ASSERT_TRUE(store.GetRange(commit->shard, 0, stored).ok()) << commit->shard;
      EXPECT_EQ(stored, ExpectedShard(*run, unit)) << commit->shard;
    }
  }

  // Besides, nothing else lies in the workers' folders, and nothing is left of handovers.
  void ExpectWhole(Store& store) {
    ExpectCommittedShards(store);
    const auto commits = ListAll(store, kCommitsPrefix);
    const auto objects = ListAll(store, "tpu_");
    ASSERT_TRUE(objects.ok());
    EXPECT_EQ(objects->size(), commits->size()) << "shards that no commit refers to";
    EXPECT_TRUE(ListAll(store, kHandoversPrefix)->empty());
  }

  // The slow, obvious way to a unit's shard: one sequence at a time, no pipeline.
  std::vector<std::byte> ExpectedShard(const thresher::Run& run, int64_t unit) {
    UnitJob job = TokeniseUnit(*samples_, unit, 1, run.plan.Samples(unit)).value();
    ShardBuilder builder(format_, job);
    std::vector<std::byte> memory(static_cast<size_t>(builder.file_bytes()));
    builder.SetMemory(memory.data());
    FakeEngine engine(format_, kBatchTokens);
    for (int64_t s = 0; s < job.sequence_count(); ++s) {
      const EngineBatch batch(job, {s, s + 1});
      const int64_t first_row = job.row_offsets[static_cast<size_t>(s)];
      EXPECT_TRUE(engine.Forward(batch.packed(), builder.Outputs(first_row)).ok());
    }
    builder.Absorb(job.row_count());
    builder.Finish();
    return memory;
  }

  int64_t TotalTokens() {
    return TokeniseUnit(*samples_, 0, 1, {0, samples_->sample_count()})->token_count();
  }

  TemporaryFolder folder_;
  HastyClock clock_;
  int64_t lease_ttl_ms_ = 3'600'000;
  SampleSettings settings_;  // set before SetUp
  std::unique_ptr<SampleSet> samples_;
  ShardFormat format_;
  RunSpec spec_;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_WORKER_FIXTURE_FOR_TEST_H_
