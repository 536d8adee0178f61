// The pipeline where samples are split and only some rows are stored. Runs under ThreadSanitizer
// too.

#include <gtest/gtest.h>

#include "extract/worker_fixture_for_test.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

class SelectedRowsTest : public WorkerTest, public ::testing::WithParamInterface<const char*> {
 protected:
  SelectedRowsTest() {
    settings_ = {.max_tokens = 16, .overlong = "split", .overlap = 2, .tokens = GetParam()};
  }

  int64_t TotalRows() {
    return TokeniseUnit(*samples_, 0, 1, {0, samples_->sample_count()})->row_count();
  }
};

TEST_P(SelectedRowsTest, OneWorkerMakesTheWholeRun) {
  MemoryStore store;
  FakeEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  RunWorker(store, engine, 0, worker);
  ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
  EXPECT_EQ(*worker.outcome, Worker::Outcome::kComplete);
  EXPECT_EQ(worker.progress.samples_committed, 200);
  EXPECT_EQ(worker.progress.tokens_computed, TotalTokens());
  EXPECT_EQ(worker.progress.rows_computed, TotalRows());
  EXPECT_EQ(worker.progress.tokens_committed, TotalRows());
  ExpectWhole(store);
}

TEST_P(SelectedRowsTest, AStopInMidUnitLosesNoMoreThanTheBatchInHand) {
  // All batches of the first unit but the last, so that its handover is of every size.
  for (int64_t batches = 1;; ++batches) {
    MemoryStore store;
    FakeEngine first(format_, kBatchTokens);
    WorkerRun stopped;
    FakeEngine second(format_, kBatchTokens);
    StopAndResume(store, first, second, stopped, batches - 1);
    if (HasFatalFailure()) return;
    if (stopped.progress.units_committed > 0) break;
    EXPECT_EQ(stopped.progress.units_handed_over, 1) << batches;
  }
}

INSTANTIATE_TEST_SUITE_P(Selections, SelectedRowsTest,
                         ::testing::Values("all", "last", "every:5", "fraction:0.03"));

}  // namespace
}  // namespace thresher
