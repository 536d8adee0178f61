// The pipeline with a made-up engine: exactness under faults, stops and competition. Runs under
// ThreadSanitizer too.

#include "extract/worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "extract/completion.h"
#include "extract/worker_fixture_for_test.h"
#include "store/fault_store.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

TEST_F(WorkerTest, OneWorkerMakesTheWholeRun) {
  MemoryStore store;
  FakeEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  RunWorker(store, engine, 0, worker);
  ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
  EXPECT_EQ(*worker.outcome, Worker::Outcome::kComplete);
  EXPECT_EQ(engine.tokens_computed, TotalTokens());
  EXPECT_EQ(worker.progress.samples_committed, 200);
  ExpectWhole(store);
}

TEST_F(WorkerTest, EveryStoredDTypeGoesThroughThePipeline) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8, DType::kF8E4M3}) {
    format_.dtype = dtype;
    MemoryStore store;
    FakeEngine engine(format_, kBatchTokens);
    WorkerRun worker;
    RunWorker(store, engine, 0, worker);
    ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
    ExpectWhole(store);
  }
}

TEST_F(WorkerTest, WorkersShareTheWorkWithoutDoublingAnything) {
  MemoryStore store;
  std::vector<std::unique_ptr<FakeEngine>> engines;
  std::vector<std::unique_ptr<WorkerRun>> runs;
  std::vector<std::thread> threads;
  for (int64_t id = 0; id < 4; ++id) {
    engines.push_back(std::make_unique<FakeEngine>(format_, kBatchTokens));
    runs.push_back(std::make_unique<WorkerRun>());
  }
  for (size_t i = 0; i < 4; ++i) {
    // Two of them have the same worker id.
    threads.emplace_back(
        [&, i] { RunWorker(store, *engines[i], static_cast<int64_t>(i / 2), *runs[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t tokens = 0;
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(runs[i]->outcome.ok()) << runs[i]->outcome.status().message();
    EXPECT_EQ(*runs[i]->outcome, Worker::Outcome::kComplete);
    tokens += engines[i]->tokens_computed;
  }
  EXPECT_EQ(tokens, TotalTokens());
  ExpectWhole(store);
}

TEST_F(WorkerTest, AStopInMidUnitLosesNoMoreThanTheBatchInHand) {
  MemoryStore store;
  FakeEngine first(format_, kBatchTokens);
  FakeEngine second(format_, kBatchTokens);
  WorkerRun stopped;
  StopAndResume(store, first, second, stopped);
  EXPECT_EQ(stopped.progress.units_handed_over, 1);
}

TEST_F(WorkerTest, AStopWithTimeLeftFinishesTheUnit) {
  MemoryStore store;
  FakeEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  engine.before_forward = [&](const PackedBatch&) {
    worker.stop.Request();
    return OkStatus();
  };
  RunWorker(store, engine, 0, worker, {.stop_grace_ms = 3'600'000});
  ASSERT_TRUE(worker.outcome.ok());
  EXPECT_EQ(*worker.outcome, Worker::Outcome::kStopped);
  EXPECT_EQ(worker.progress.units_committed, 1);
  EXPECT_EQ(worker.progress.units_handed_over, 0);
}

TEST_F(WorkerTest, ADamagedHandoverIsNotUsed) {
  MemoryStore store;
  FakeEngine first(format_, kBatchTokens);
  WorkerRun stopped;
  first.before_forward = [&](const PackedBatch&) {
    if (first.batches_computed == 1) stopped.stop.Request();
    return OkStatus();
  };
  RunWorker(store, first, 0, stopped, {.stop_grace_ms = 0});
  const std::string key = HandoverShardKey(0, 1);
  const Result<ObjectInfo> info = store.Stat(key);
  ASSERT_TRUE(info.ok()) << info.status().message();
  std::vector<std::byte> bytes(static_cast<size_t>(info->bytes));
  ASSERT_TRUE(store.GetRange(key, 0, bytes).ok());
  bytes[bytes.size() / 2] ^= std::byte{1};
  ASSERT_TRUE(store.Put(key, bytes).ok());

  FakeEngine second(format_, kBatchTokens);
  WorkerRun resumed;
  RunWorker(store, second, 1, resumed);
  ASSERT_TRUE(resumed.outcome.ok());
  EXPECT_EQ(second.tokens_computed, TotalTokens());
  ExpectWhole(store);
}

// Claims of workers that are gone, and one worker that makes the run all the same.
class TakeoverTest : public WorkerTest {
 protected:
  TakeoverTest() { lease_ttl_ms_ = 500; }

  // Another worker joins the run, claims so many units, and is never heard of again.
  void ClaimAndVanish(Store& store, int claims) {
    const Result<thresher::Run> run = Join(store);
    ASSERT_TRUE(run.ok()) << run.status().message();
    Ledger vanished(store, clock_, *run,
                    {.worker_id = 7, .session = "gone", .lease_ttl_ms = lease_ttl_ms_});
    ASSERT_TRUE(vanished.Beat(Heartbeat{}).ok());
    for (int i = 0; i < claims; ++i) {
      ASSERT_EQ(vanished.Next()->kind, Ledger::Step::Kind::kClaimed);
    }
  }

  void ExpectTakenOver(Store& store) {
    FakeEngine engine(format_, kBatchTokens);
    WorkerRun worker;
    RunWorker(store, engine, 0, worker, {.beat_interval_ms = 50});
    ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
    EXPECT_EQ(*worker.outcome, Worker::Outcome::kComplete);
    ExpectWhole(store);
  }
};

TEST_F(TakeoverTest, AVanishedWorkersUnitsAreTakenOver) {
  MemoryStore store(clock_);
  ClaimAndVanish(store, 3);
  ExpectTakenOver(store);
}

TEST_F(TakeoverTest, AnUnreadableLeaseRunsOutLikeOthers) {
  MemoryStore store(clock_);
  ASSERT_TRUE(Join(store).ok());
  ASSERT_TRUE(store.Put(LeaseKey(1, 1), AsBytes("{garb")).ok());
  ExpectTakenOver(store);
}

// The store's clock, which can be set back.
class StoreClock : public Clock {
 public:
  explicit StoreClock(Clock& clock) : clock_(clock) {}
  int64_t MonotonicUs() const override { return clock_.MonotonicUs() + ahead_us; }
  int64_t UnixMs() const override { return clock_.UnixMs(); }
  void SleepMs(int64_t duration_ms) override { clock_.SleepMs(duration_ms); }

  std::atomic<int64_t> ahead_us{0};

 private:
  Clock& clock_;
};

TEST_F(TakeoverTest, AStoreClockThatIsSetBackDelaysATakeoverByOneTtlAtMost) {
  StoreClock store_clock(clock_);
  store_clock.ahead_us = 10'000'000'000'000;
  MemoryStore store(store_clock);
  ClaimAndVanish(store, 1);
  store_clock.ahead_us = 0;
  ExpectTakenOver(store);
}

// Heartbeats are refused for ever, everything else works.
class NoHeartbeats : public FaultStore {
 public:
  using FaultStore::FaultStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    const bool is_first = puts_++ == 0;
    if (key.starts_with(kWorkersPrefix) && !is_first) {
      ++refused;
      return Unavailable("no heartbeat for you");
    }
    return FaultStore::Put(key, bytes);
  }

  std::atomic<int64_t> refused{0};

 private:
  std::atomic<int64_t> puts_{0};
};

TEST_F(WorkerTest, AWorkerWhoseHeartbeatsFailForGoodGivesUp) {
  MemoryStore inner(clock_);
  NoHeartbeats store(inner, clock_);
  lease_ttl_ms_ = 500;
  FakeEngine engine(format_, kBatchTokens);
  engine.before_forward = [&](const PackedBatch&) {
    while (store.refused == 0) std::this_thread::yield();
    clock_.SleepMs(lease_ttl_ms_ / 4);
    return OkStatus();
  };
  WorkerRun worker;
  RunWorker(store, engine, 0, worker, {.beat_interval_ms = 10});
  ASSERT_FALSE(worker.outcome.ok());
  EXPECT_NE(worker.outcome.status().message().find("no heartbeat for you"), std::string::npos)
      << worker.outcome.status().message();
}

TEST_F(WorkerTest, AManifestOfAnEarlierTimeIsReplaced) {
  MemoryStore store;
  FakeEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  RunWorker(store, engine, 0, worker);
  const Result<thresher::Run> run = LoadRun(store);
  ASSERT_TRUE(run.ok());
  ASSERT_TRUE(store.Put(kManifestKey, AsBytes("{}")).ok());
  ASSERT_TRUE((*WriteManifest(store, *run)).has_value());
  EXPECT_NE(*store.GetText(kManifestKey), "{}");
}

// Two workers make the same unit: the one that commits second throws its shard away.
TEST_F(WorkerTest, ALateDuplicateIsDeleted) {
  MemoryStore store(clock_);
  lease_ttl_ms_ = 500;
  FakeEngine slow(format_, kBatchTokens);
  WorkerRun slow_run;
  FakeEngine fast(format_, kBatchTokens);
  WorkerRun fast_run;
  slow.before_forward = [&](const PackedBatch&) {
    // While the slow worker is in its first pass its leases run out, and another worker makes the
    // whole run.
    if (slow.batches_computed == 0) RunWorker(store, fast, 1, fast_run);
    return OkStatus();
  };
  RunWorker(store, slow, 0, slow_run);
  ASSERT_TRUE(fast_run.outcome.ok()) << fast_run.outcome.status().message();
  ASSERT_TRUE(slow_run.outcome.ok()) << slow_run.outcome.status().message();
  EXPECT_GE(slow_run.progress.units_duplicate, 1);
  ExpectWhole(store);
}

TEST_F(WorkerTest, APoisonUnitIsSetAsideAndTheRestIsMade) {
  MemoryStore store;
  FakeEngine engine(format_, kBatchTokens);
  int64_t passes = 0;
  const Result<thresher::Run> run = Join(store);
  ASSERT_TRUE(run.ok());
  // Sample 57 begins with token 7 and is the only sequence whose tokens begin so in its unit.
  const UnitJob all = TokeniseUnit(*samples_, 0, 1, {57, 1}).value();
  engine.before_forward = [&](const PackedBatch& batch) {
    ++passes;
    const auto& ids = batch.token_ids;
    const auto found =
        std::search(ids.begin(), ids.end(), all.token_ids.begin(), all.token_ids.end());
    return found == ids.end() ? OkStatus() : Internal("cannot compute this");
  };
  WorkerRun worker;
  RunWorker(store, engine, 0, worker, {.max_consecutive_failures = 100});
  ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
  EXPECT_EQ(*worker.outcome, Worker::Outcome::kComplete);
  const auto quarantined = ListUnits(store, kQuarantinePrefix, run->plan.unit_count());
  ASSERT_EQ(quarantined->size(), 1u);
  const auto record = ReadQuarantine(store, quarantined->front());
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->errors.size(), 4u);
  EXPECT_NE(record->errors[0].find("cannot compute this"), std::string::npos);
  EXPECT_LE(record->first_sample, 57);
  ASSERT_TRUE((*WriteManifest(store, *run)).has_value());
}

TEST_F(WorkerTest, AFullStoreStopsTheWorkerAndLosesNothing) {
  MemoryStore inner;
  FaultStore store(inner, clock_);
  store.AddFault({.kind = FaultKind::kErrorBefore,
                  .call = StoreCall::kPut,
                  .first_call = 8,
                  .call_count = 1'000'000,
                  .status = ResourceExhausted("disk full")});
  FakeEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  RunWorker(store, engine, 0, worker, {.beat_interval_ms = 3'600'000});
  ASSERT_FALSE(worker.outcome.ok());
  EXPECT_EQ(worker.outcome.status().code(), Code::kResourceExhausted);
  EXPECT_NE(worker.outcome.status().message().find("disk full"), std::string::npos);
  EXPECT_NE(worker.outcome.status().message().find("3 failed units in a row"), std::string::npos);
  // Each failure is told with unit, key, reason, and what to do.
  const std::vector<std::string> messages = worker.log.messages();
  const auto told = std::find_if(messages.begin(), messages.end(), [](const std::string& event) {
    return event.starts_with("unit-") && event.find("tpu_0/unit-") != std::string::npos &&
           event.find("disk full") != std::string::npos;
  });
  ASSERT_NE(told, messages.end());
  EXPECT_NE((told + 1)->find("thresher doctor memory:"), std::string::npos) << *(told + 1);

  FakeEngine second(format_, kBatchTokens);
  WorkerRun resumed;
  RunWorker(inner, second, 0, resumed);
  ASSERT_TRUE(resumed.outcome.ok()) << resumed.outcome.status().message();
  EXPECT_EQ(*resumed.outcome, Worker::Outcome::kComplete);
  ExpectWhole(inner);
}

TEST_F(WorkerTest, AWorkerWithOtherSettingsIsRefusedWithTheDifferenceNamed) {
  MemoryStore store;
  ASSERT_TRUE(Join(store).ok());
  spec_.capture.dtype = "f32";
  const Result<thresher::Run> refused = Join(store);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("capture.dtype: the run has \"bf16\", this worker "
                                            "\"f32\""),
            std::string::npos)
      << refused.status().message();
}

TEST(PackBatchesTest, TakesWholeSequencesInOrder) {
  const std::vector<int64_t> offsets = {0, 10, 20, 90, 91, 92, 300};
  const auto batches = PackBatches(offsets, 64);
  ASSERT_EQ(batches.size(), 4u);
  EXPECT_EQ(batches[0].end_sequence, 2);
  EXPECT_EQ(batches[1].end_sequence, 3) << "a sequence longer than a batch stands alone";
  EXPECT_EQ(batches[2].end_sequence, 5);
  EXPECT_EQ(batches[3].end_sequence, 6);
  EXPECT_TRUE(PackBatches(std::vector<int64_t>{0}, 64).empty());
}

}  // namespace
}  // namespace thresher
