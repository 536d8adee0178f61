// The pipeline with an engine that holds several batches at once.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "extract/worker_fixture_for_test.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

// Computes a batch when it is finished, not before.
class QueuedEngine : public FakeEngine {
 public:
  using FakeEngine::FakeEngine;

  size_t queue_depth() const override { return 3; }

  Status Submit(const PackedBatch& batch, std::span<const HookOutput> outputs) override {
    EXPECT_LT(queue_.size(), queue_depth());
    Queued queued;
    queued.token_ids.assign(batch.token_ids.begin(), batch.token_ids.end());
    queued.offsets.assign(batch.sequence_offsets.begin(), batch.sequence_offsets.end());
    queued.outputs.assign(outputs.begin(), outputs.end());
    queue_.push_back(std::move(queued));
    most_queued = std::max(most_queued, queue_.size());
    return OkStatus();
  }

  Status Finish() override {
    EXPECT_FALSE(queue_.empty());
    const Queued queued = std::move(queue_.front());
    queue_.pop_front();
    return Forward({queued.token_ids, queued.offsets}, queued.outputs);
  }

  bool is_empty() const { return queue_.empty(); }

  size_t most_queued = 0;

 private:
  struct Queued {
    std::vector<int32_t> token_ids;
    std::vector<int64_t> offsets;
    std::vector<HookOutput> outputs;
  };
  std::deque<Queued> queue_;
};

TEST_F(WorkerTest, AnEngineIsKeptFullAcrossUnits) {
  for (const int64_t arenas : {1, 3}) {
    MemoryStore store;
    QueuedEngine engine(format_, kBatchTokens);
    WorkerRun worker;
    RunWorker(store, engine, 0, worker, {.arenas = arenas});
    ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
    EXPECT_EQ(*worker.outcome, Worker::Outcome::kComplete);
    EXPECT_EQ(engine.tokens_computed, TotalTokens());
    EXPECT_EQ(worker.progress.tokens_computed, TotalTokens());
    EXPECT_EQ(engine.most_queued, 3u);
    EXPECT_TRUE(engine.is_empty());
    ExpectWhole(store);
  }
}

TEST_F(WorkerTest, AFailedBatchFailsItsUnitAndNoOther) {
  MemoryStore store;
  QueuedEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  engine.before_forward = [&, failed = false](const PackedBatch&) mutable {
    if (failed || engine.batches_computed != 4) return OkStatus();
    failed = true;
    return Internal("this batch fails");
  };
  RunWorker(store, engine, 0, worker);
  ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
  EXPECT_EQ(*worker.outcome, Worker::Outcome::kComplete);
  EXPECT_EQ(worker.progress.units_failed, 1);
  EXPECT_TRUE(engine.is_empty());
  ExpectWhole(store);
}

TEST_F(WorkerTest, AStopFinishesWhatIsInTheEngine) {
  MemoryStore store;
  QueuedEngine first(format_, kBatchTokens);
  QueuedEngine second(format_, kBatchTokens);
  WorkerRun stopped;
  StopAndResume(store, first, second, stopped);
  EXPECT_TRUE(first.is_empty());
}

}  // namespace
}  // namespace thresher
