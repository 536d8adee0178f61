#include "launch/restarts.h"

#include <gtest/gtest.h>

namespace thresher {
namespace {

constexpr int kKilled = Restarts::kSignalBase + 9;

TEST(RestartsTest, PausesGrowUpToALimit) {
  Restarts restarts(
      {.workers = 1, .max_restarts = 6, .first_pause_ms = 1'000, .longest_pause_ms = 10'000});
  for (const int64_t pause_ms : {1'000, 2'000, 4'000, 8'000, 10'000, 10'000}) {
    EXPECT_EQ(restarts.PauseAfterEnd(0, kKilled, 5), pause_ms);
  }
  EXPECT_EQ(restarts.PauseAfterEnd(0, kKilled, 5), std::nullopt);
  EXPECT_EQ(restarts.ExitStatus(), 1);
}

TEST(RestartsTest, AWorkerThatRanLongIsForgiven) {
  Restarts restarts({.workers = 1, .max_restarts = 1, .forgiven_after_ms = 600'000});
  EXPECT_EQ(restarts.PauseAfterEnd(0, 75, 5), 1'000);
  EXPECT_EQ(restarts.PauseAfterEnd(0, 1, 600'000), 1'000);
  EXPECT_EQ(restarts.PauseAfterEnd(0, 1, 599'999), std::nullopt);
}

TEST(RestartsTest, EachWorkerHasItsOwnCount) {
  Restarts restarts({.workers = 2, .max_restarts = 1});
  EXPECT_TRUE(restarts.PauseAfterEnd(0, 1, 0));
  EXPECT_TRUE(restarts.PauseAfterEnd(1, 1, 0));
  EXPECT_FALSE(restarts.PauseAfterEnd(0, 1, 0));
  EXPECT_TRUE(restarts.ShouldStart());
}

TEST(RestartsTest, ACompleteRunNeedsNobody) {
  for (const int status : {0, 3}) {
    Restarts restarts({.workers = 2, .max_restarts = 0});
    EXPECT_FALSE(restarts.PauseAfterEnd(0, kKilled, 0));  // given up
    EXPECT_FALSE(restarts.PauseAfterEnd(1, status, 0));
    EXPECT_FALSE(restarts.ShouldStart());
    EXPECT_FALSE(restarts.PauseAfterEnd(0, 75, 0));
    EXPECT_EQ(restarts.ExitStatus(), status);
  }
}

TEST(RestartsTest, WrongUsageIsNotTriedAgain) {
  Restarts restarts({.workers = 2});
  EXPECT_FALSE(restarts.PauseAfterEnd(0, 2, 0));
  EXPECT_FALSE(restarts.PauseAfterEnd(1, 2, 0));
  EXPECT_EQ(restarts.ExitStatus(), 2);
}

TEST(RestartsTest, NobodyStartsAfterStop) {
  Restarts restarts({.workers = 2});
  EXPECT_TRUE(restarts.PauseAfterEnd(0, 75, 0));
  restarts.Stop();
  EXPECT_FALSE(restarts.ShouldStart());
  EXPECT_FALSE(restarts.PauseAfterEnd(1, 75, 0));
  EXPECT_EQ(restarts.ExitStatus(), 75);
}

}  // namespace
}  // namespace thresher
