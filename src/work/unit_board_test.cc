#include "work/unit_board.h"

#include <gtest/gtest.h>

#include <set>

namespace thresher {
namespace {

using Action = UnitBoard::Action;

UnitBoard MakeBoard(int64_t units, int64_t stream = 0, std::optional<int64_t> streams = {}) {
  return UnitBoard(
      {.unit_count = units, .session = "me", .stream = stream, .stream_count = streams});
}

TEST(UnitBoardTest, TakesItsOwnStreamFirstThenWhatOthersLeft) {
  UnitBoard board = MakeBoard(8, 1, 2);
  std::vector<int64_t> order;
  for (auto choice = board.Next(); choice.action == Action::kClaim; choice = board.Next()) {
    EXPECT_EQ(choice.epoch, 1);
    order.push_back(choice.unit);
    board.ObserveClaim(choice.unit, 1, "me");
    board.MarkCommitted(choice.unit);
  }
  EXPECT_EQ(order, (std::vector<int64_t>{4, 5, 6, 7, 0, 1, 2, 3}));
  EXPECT_EQ(board.Next().action, Action::kDone);
}

TEST(UnitBoardTest, StealsFromTheMiddleOfTheLargestGap) {
  UnitBoard board = MakeBoard(100);
  EXPECT_EQ(board.Next().unit, 0);
  board.ObserveClaim(0, 1, "other");
  board.ObserveSession("other", true);
  EXPECT_EQ(board.Next().unit, 1 + 99 / 2);
}

TEST(UnitBoardTest, StreamsCoverEveryUnitOnce) {
  for (const int64_t streams : {1, 3, 7, 10, 64}) {
    std::set<int64_t> firsts;
    for (int64_t stream = 0; stream < streams; ++stream) {
      UnitBoard board = MakeBoard(10, stream, streams);
      EXPECT_EQ(board.Next().action, Action::kClaim);
      firsts.insert(board.Next().unit);
    }
    EXPECT_EQ(firsts.size(), static_cast<size_t>(std::min<int64_t>(streams, 10)));
  }
}

TEST(UnitBoardTest, WaitsForLiveOwnersAndTakesOverFromGoneOnes) {
  UnitBoard board = MakeBoard(1);
  board.ObserveClaim(0, 1, "other");
  EXPECT_EQ(board.Next().action, Action::kWait) << "a session of unknown state is left alone";
  board.ObserveSession("other", true);
  EXPECT_EQ(board.Next().action, Action::kWait);
  board.ObserveSession("other", false);
  const auto choice = board.Next();
  EXPECT_EQ(choice.action, Action::kClaim);
  EXPECT_EQ(choice.epoch, 2);
}

TEST(UnitBoardTest, OldNewsDoesNotUndoNewNews) {
  UnitBoard board = MakeBoard(1);
  board.ObserveClaim(0, 2, "second");
  board.ObserveClaim(0, 1, "first");
  board.ObserveSession("first", false);
  board.ObserveSession("second", true);
  EXPECT_EQ(board.Next().action, Action::kWait);
  EXPECT_EQ(board.SessionsThatHold(), std::vector<std::string>{"second"});
}

TEST(UnitBoardTest, NeverTakesItsOwnClaimAgainUnlessItEnded) {
  UnitBoard board = MakeBoard(1);
  board.ObserveClaim(0, 1, "me");
  EXPECT_EQ(board.Next().action, Action::kWait);
  board.ObserveClaimEnd(0, 1, LeaseEnd::kReleased);
  EXPECT_EQ(board.Next().epoch, 2);
}

TEST(UnitBoardTest, SetsAsideAfterTooManyFailures) {
  UnitBoard board = MakeBoard(1);
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    ASSERT_EQ(board.Next().action, Action::kClaim);
    ASSERT_EQ(board.Next().epoch, epoch);
    board.ObserveClaim(0, epoch, "me");
    board.ObserveClaimEnd(0, epoch, LeaseEnd::kFailed);
  }
  EXPECT_EQ(board.Next().action, Action::kQuarantine);
  board.MarkQuarantined(0);
  EXPECT_EQ(board.Next().action, Action::kDone);
  board.MarkCommitted(0);
  EXPECT_EQ(board.quarantined_count(), 0) << "a late commit wins";
  EXPECT_EQ(board.committed_count(), 1);
}

TEST(UnitBoardTest, ReleasesAreNotFailures) {
  UnitBoard board = MakeBoard(1);
  for (int64_t epoch = 1; epoch <= 100; ++epoch) {
    ASSERT_EQ(board.Next().action, Action::kClaim);
    board.ObserveClaim(0, epoch, "me");
    board.ObserveClaimEnd(0, epoch, LeaseEnd::kReleased);
  }
  EXPECT_EQ(board.Next().action, Action::kClaim);
}

TEST(UnitBoardTest, SetsAsideAUnitThatKillsItsOwners) {
  UnitBoard board = MakeBoard(1);
  int64_t claims = 0;
  while (board.Next().action == Action::kClaim) {
    const std::string session = "s" + std::to_string(++claims);
    board.ObserveClaim(0, board.Next().epoch, session);
    board.ObserveSession(session, false);
  }
  EXPECT_EQ(claims, 20);
  EXPECT_EQ(board.Next().action, Action::kQuarantine);
}

TEST(UnitBoardTest, AHighEpochAloneIsNoReasonToSetAUnitAside) {
  UnitBoard board = MakeBoard(1);
  board.ObserveClaim(0, 1'000'000, "other");
  board.ObserveSession("other", false);
  EXPECT_EQ(board.Next().action, Action::kClaim);
  EXPECT_EQ(board.Next().epoch, 1'000'001);
}

}  // namespace
}  // namespace thresher
