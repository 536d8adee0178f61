#include "work/unit_board.h"

#include <gtest/gtest.h>

#include <set>

#include "work/unit_board_scene_for_test.h"

namespace thresher {
namespace {

TEST(UnitBoardTest, TakesItsOwnStreamFirstThenWhatOthersLeft) {
  Scene scene(Of(8, 1, 2));
  std::vector<int64_t> order;
  for (int i = 0; i < 8; ++i) {
    order.push_back(scene.Take());
    scene.Commit(order.back());
  }
  EXPECT_EQ(order, (std::vector<int64_t>{4, 5, 6, 7, 0, 1, 2, 3}));
  EXPECT_EQ(scene.Next().action, Action::kDone);
  EXPECT_EQ(scene.board.finished_count(), 8);
  ASSERT_EQ(scene.index.size(), 1u);
  EXPECT_EQ(scene.index[0].mark, BlockMark::kFinished);
}

TEST(UnitBoardTest, AWorkerAloneReadsTwiceWhateverTheNumberOfItsUnits) {
  Scene scene(Of(1000));
  for (int64_t unit = 0; unit < 1000; ++unit) {
    EXPECT_EQ(scene.Take(), unit);
    scene.Commit(unit);
  }
  EXPECT_EQ(scene.Next().action, Action::kDone);
  EXPECT_EQ(scene.index_reads, 1);
  EXPECT_LE(scene.looks.size(), 2u);
}

TEST(UnitBoardTest, StealsFromBehindTheMiddleOfTheLargestGap) {
  Scene scene(Of(100));
  scene.Lease(0, 1);
  const int64_t unit = scene.Take();
  EXPECT_GE(unit, 50);
  EXPECT_LT(unit, 75);
  EXPECT_EQ(scene.Take(), unit + 1) << "and goes on from there";
}

TEST(UnitBoardTest, NewcomersDoNotAllChooseTheSameUnit) {
  std::set<int64_t> chosen;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    UnitBoard::Options options = Of(1000);
    options.seed = seed;
    Scene scene(options);
    scene.Lease(0, 1);
    chosen.insert(scene.Take());
  }
  EXPECT_GE(chosen.size(), 15u);
}

TEST(UnitBoardTest, StreamsCoverEveryUnitOnce) {
  for (const int64_t streams : {1, 3, 7, 10, 64}) {
    std::set<int64_t> firsts;
    for (int64_t stream = 0; stream < streams; ++stream) {
      firsts.insert(Scene(Of(10, stream, streams)).Take());
    }
    EXPECT_EQ(firsts.size(), static_cast<size_t>(std::min<int64_t>(streams, 10)));
  }
}

TEST(UnitBoardTest, StartsInAMillionUnitsWithAFewLists) {
  Scene scene(Of(1'000'000, 6'543, 10'000));
  EXPECT_EQ(scene.Take(), 654'300);
  EXPECT_EQ(scene.index_reads, 1);
  EXPECT_EQ(scene.looks, std::vector<int64_t>{654});
}

TEST(UnitBoardTest, BelievesTheIndex) {
  Scene scene(Of(5'000));
  for (int64_t block = 0; block < 5; ++block) {
    if (block == 3) continue;
    scene.index.push_back(
        {block, 1000, block % 2 == 0 ? BlockMark::kFinished : BlockMark::kClaimed});
  }
  EXPECT_EQ(scene.Take(), 3'000);
  EXPECT_EQ(scene.looks, std::vector<int64_t>{3});
}

TEST(UnitBoardTest, IgnoresMarksOfTheTimeBeforeTheRunWasExtended) {
  Scene scene(Of(100));
  scene.index.push_back({0, 60, BlockMark::kFinished});
  scene.index.push_back({7, 1000, BlockMark::kFinished});
  for (int64_t unit = 0; unit < 60; ++unit) scene.listings[0].committed.push_back(unit);
  EXPECT_EQ(scene.Take(), 60);
}

TEST(UnitBoardTest, MarksBlocksInWhichNothingIsLeftToClaim) {
  Scene scene(Of(2'000, 0, 2));
  for (int64_t unit = 1; unit < 1000; ++unit) scene.Lease(unit, 1);
  EXPECT_EQ(scene.Take(), 0);
  scene.Next();
  ASSERT_EQ(scene.index.size(), 1u);
  EXPECT_EQ(scene.index[0].block, 0);
  EXPECT_EQ(scene.index[0].mark, BlockMark::kClaimed);
}

TEST(UnitBoardTest, WhoeverCommitsTheLastUnitOfABlockSeesIt) {
  Scene scene(Of(2'000, 0, 2));
  for (int64_t unit = 1; unit < 1000; ++unit) {
    scene.Lease(unit, 1);
  }
  EXPECT_EQ(scene.Take(), 0);
  // Others finish meanwhile.
  for (int64_t unit = 1; unit < 1000; ++unit) scene.listings[0].committed.push_back(unit);
  scene.Commit(0);
  EXPECT_GE(scene.Take(), 1000);
  ASSERT_EQ(scene.index.size(), 2u);
  EXPECT_EQ(scene.index[1].mark, BlockMark::kFinished);
}

// The index tells of the end of a block that this worker was about to look at once more.
TEST(UnitBoardTest, ABlockIsFinishedOnce) {
  Scene scene(Of(2'000, 0, 2));
  for (int64_t unit = 1; unit < 1000; ++unit) scene.Lease(unit, 1);
  EXPECT_EQ(scene.Take(), 0);
  for (int64_t unit = 0; unit < 1000; ++unit) scene.listings[0].committed.push_back(unit);
  scene.board.ObserveOwnCommit(0);
  scene.board.ObserveIndex({{0, 1000, BlockMark::kFinished}}, scene.now_ms);
  scene.board.ObserveIndex({{0, 1000, BlockMark::kFinished}}, scene.now_ms);
  scene.board.ObserveBlock(0, scene.listings[0], scene.now_ms);
  EXPECT_EQ(scene.board.finished_count(), 1000);
  EXPECT_EQ(scene.Take(), 1000) << "the other block is still to do";
}

TEST(UnitBoardTest, LooksAgainWhenItsViewProvesOld) {
  UnitBoard::Options options = Of(100);
  options.lease_ttl_ms = 100'000;
  Scene scene(options);
  EXPECT_EQ(scene.Take(), 0);
  scene.now_ms = 60'000;
  for (int64_t unit = 1; unit < 90; ++unit) scene.Lease(unit, 1);
  EXPECT_EQ(scene.Next().unit, 1);
  scene.board.ObserveClaim(1, 1, scene.now_ms);  // somebody else was faster
  EXPECT_EQ(scene.Take() / 10, 9) << "one refusal is enough to learn of all the others";
  EXPECT_EQ(scene.looks.size(), 2u);
}

TEST(UnitBoardTest, LeavesLiveHoldersAloneAndTakesOverFromGoneOnes) {
  Scene scene(Of(1));
  const int64_t silence_ms = scene.board.SilenceMs();
  scene.Lease(0, 1, 100);
  scene.store_now_ms = 100 + silence_ms;
  EXPECT_EQ(scene.Next().action, Action::kWait) << "a young claim is left alone";
  ++scene.store_now_ms;
  const UnitBoard::Choice examine = scene.Next();
  EXPECT_EQ(examine.action, Action::kExamine);
  EXPECT_EQ(examine.epoch, 1);
  EXPECT_EQ(examine.written_ms, 100);
  scene.board.ObserveHolder(0, Holder::kAlive, scene.now_ms);
  EXPECT_EQ(scene.Next().action, Action::kWait) << "just examined";
  scene.now_ms += silence_ms;
  EXPECT_EQ(scene.Next().action, Action::kExamine);
  for (const Holder holder : {Holder::kSilent, Holder::kGone}) {
    scene.board.ObserveHolder(0, holder, scene.now_ms);
    const UnitBoard::Choice choice = scene.Next();
    EXPECT_EQ(choice.action, Action::kClaim);
    EXPECT_EQ(choice.epoch, 2);
  }
}

TEST(UnitBoardTest, ABusyWorkerLeavesSilentHoldersAlone) {
  Scene scene(Of(3));
  scene.Lease(0, 1, 100);
  scene.store_now_ms = 100 * kTtlMs;
  EXPECT_EQ(scene.Next().action, Action::kClaim);
  scene.board.ObserveHolder(0, Holder::kSilent, 0);
  EXPECT_NE(scene.Take(), 0);
  EXPECT_NE(scene.Take(), 0);
  EXPECT_EQ(scene.Take(), 0) << "when there is nothing else";
}

TEST(UnitBoardTest, ExaminesAFewHoldersARound) {
  Scene scene(Of(100));
  for (int64_t unit = 0; unit < 100; ++unit) scene.Lease(unit, 1, 100);
  scene.store_now_ms = 100 * kTtlMs;
  for (int i = 0; i < 2; ++i) {
    const UnitBoard::Choice examine = scene.Next();
    ASSERT_EQ(examine.action, Action::kExamine);
    scene.board.ObserveHolder(examine.unit, Holder::kAlive, scene.now_ms);
  }
  EXPECT_EQ(scene.board.Next({0, scene.store_now_ms}).action, Action::kWait);
}

TEST(UnitBoardTest, ExaminesAClaimFromTheFutureWhenItHasStoodStill) {
  Scene scene(Of(1));
  scene.Lease(0, 1, 1'000'000'000);
  EXPECT_EQ(scene.Next().action, Action::kWait);
  scene.now_ms += scene.board.SilenceMs() + 1;
  EXPECT_EQ(scene.Next().action, Action::kExamine);
}

TEST(UnitBoardTest, OldNewsDoesNotUndoNewNews) {
  Scene scene(Of(1));
  scene.Lease(0, 2);
  EXPECT_EQ(scene.Next().action, Action::kWait);
  scene.listings[0] = {};
  scene.Lease(0, 1);
  scene.End(0, 1, LeaseEnd::kReleased);
  scene.board.ObserveBlock(0, scene.listings[0], 0);
  EXPECT_EQ(scene.Next().action, Action::kWait) << "the list is older than what is known";
}

TEST(UnitBoardTest, NeverTakesItsOwnClaimAgainUnlessItEnded) {
  Scene scene(Of(1));
  scene.Take();
  scene.store_now_ms = 100 * kTtlMs;
  scene.backup_after_ms = 1;
  EXPECT_EQ(scene.Next().action, Action::kWait);
  scene.board.ObserveOwnEnd(0, 1, LeaseEnd::kReleased, scene.now_ms);
  EXPECT_EQ(scene.Next().epoch, 2);
}

TEST(UnitBoardTest, MakesASecondCopyOfWhatIsSlowButOnlyWhenIdle) {
  UnitBoard::Options options = Of(2);
  options.lease_ttl_ms = 100'000;
  Scene scene(options);
  scene.Lease(0, 1, 100);
  scene.backup_after_ms = 500;
  scene.store_now_ms = 601;
  EXPECT_EQ(scene.Take(), 1);
  const UnitBoard::Choice backup = scene.Next();
  EXPECT_EQ(backup.action, Action::kClaim);
  EXPECT_EQ(backup.unit, 0);
  EXPECT_EQ(backup.epoch, 2);
  scene.store_now_ms = 600;
  EXPECT_EQ(scene.Next().action, Action::kWait) << "not before its time";
  scene.Lease(0, 2, 600);  // somebody else's copy
  scene.board.ObserveBlock(0, scene.listings[0], 0);
  scene.store_now_ms = 1000;
  EXPECT_EQ(scene.Next().action, Action::kWait) << "one copy at a time";
}

TEST(UnitBoardTest, SetsAsideAfterTooManyFailures) {
  Scene scene(Of(1));
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    EXPECT_EQ(scene.Take(), 0);
    scene.board.ObserveOwnEnd(0, epoch, LeaseEnd::kFailed, scene.now_ms);
  }
  EXPECT_EQ(scene.Next().action, Action::kQuarantine);
  scene.board.MarkFinished(0);
  EXPECT_EQ(scene.Next().action, Action::kDone);
}

TEST(UnitBoardTest, CountsTheFailuresOfOthers) {
  Scene scene(Of(1));
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    scene.Lease(0, epoch);
    scene.End(0, epoch, LeaseEnd::kFailed);
  }
  EXPECT_EQ(scene.Next().action, Action::kQuarantine);
}

TEST(UnitBoardTest, ReleasesAreNotFailures) {
  Scene scene(Of(1));
  for (int64_t epoch = 1; epoch <= 100; ++epoch) {
    scene.Take();
    scene.End(0, epoch, LeaseEnd::kReleased);
    scene.board.ObserveOwnEnd(0, epoch, LeaseEnd::kReleased, scene.now_ms);
  }
  EXPECT_EQ(scene.Next().action, Action::kClaim);
}

TEST(UnitBoardTest, SetsAsideAUnitThatKillsItsOwners) {
  for (const int64_t claims : {19, 20}) {
    Scene scene(Of(1));
    for (int64_t epoch = 1; epoch <= claims; ++epoch) scene.Lease(0, epoch);
    scene.store_now_ms = 2 * kTtlMs;
    EXPECT_EQ(scene.Next().action, Action::kExamine);
    scene.board.ObserveHolder(0, Holder::kGone, 0);
    EXPECT_EQ(scene.Next().action, claims < 20 ? Action::kClaim : Action::kQuarantine);
  }
}

TEST(UnitBoardTest, CopiesOfSilentHoldersUnitsDoNotHidePoison) {
  for (const int64_t claims : {19, 20}) {
    Scene scene(Of(1));
    for (int64_t epoch = 1; epoch <= claims; ++epoch) scene.Lease(0, epoch);
    scene.store_now_ms = 2 * kTtlMs;
    EXPECT_EQ(scene.Next().action, Action::kExamine);
    scene.board.ObserveHolder(0, Holder::kSilent, 0);
    EXPECT_EQ(scene.Next().action, claims < 20 ? Action::kClaim : Action::kWait);
  }
}

TEST(UnitBoardTest, WhatMayKillItsOwnerIsTakenWithEmptyHands) {
  Scene scene(Of(2));
  scene.Lease(0, 1);
  scene.Lease(0, 2);
  scene.Lease(0, 3);
  EXPECT_EQ(scene.Take(), 1);
  scene.store_now_ms = 2 * kTtlMs;
  EXPECT_EQ(scene.Next().action, Action::kWait);
  scene.Commit(1);
  EXPECT_EQ(scene.Next().action, Action::kExamine);
  scene.board.ObserveHolder(0, Holder::kGone, 0);
  EXPECT_EQ(scene.Take(), 0);
}

TEST(UnitBoardTest, AHighEpochAloneIsNoReasonToSetAUnitAside) {
  Scene scene(Of(1));
  scene.Lease(0, 1'000'000);
  scene.store_now_ms = 2 * kTtlMs;
  EXPECT_EQ(scene.Next().action, Action::kExamine);
  scene.board.ObserveHolder(0, Holder::kGone, 0);
  EXPECT_EQ(scene.Next().action, Action::kClaim);
  EXPECT_EQ(scene.Next().epoch, 1'000'001);
}

TEST(UnitBoardTest, KnowsNoMoreBlocksInDetailThanItMay) {
  UnitBoard::Options options = Of(20'000);
  options.max_views = 2;
  Scene scene(options);
  for (int64_t unit = 0; unit < 20'000; ++unit) scene.Lease(unit, 1);
  EXPECT_EQ(scene.Next().action, Action::kWait);
  EXPECT_EQ(scene.looks.size(), 20u) << "each block once, and then it is known to be claimed";
  EXPECT_EQ(scene.index.size(), 20u);
}

}  // namespace
}  // namespace thresher
