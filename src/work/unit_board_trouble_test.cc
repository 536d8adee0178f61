// What a board does with units that were failed or left by their owners, while there are fresh
// ones.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "base/random.h"
#include "work/unit_board_scene_for_test.h"

namespace thresher {
namespace {

// Unit 0 was failed by others while this worker is busy with the rest.
TEST(UnitBoardTroubleTest, ABusyWorkerTriesWhatOthersFailed) {
  Scene scene(Of(100));
  EXPECT_EQ(scene.Take(), 0);
  scene.Commit(0);
  EXPECT_EQ(scene.Take(), 1);
  scene.Lease(50, 1);
  scene.End(50, 1, LeaseEnd::kFailed);
  EXPECT_EQ(scene.Take(), 2) << "it has not heard of it";
  scene.now_ms += kTtlMs;
  EXPECT_EQ(scene.Take(), 50);
  EXPECT_EQ(scene.looks.size(), 2u) << "one look in a time to live";
  scene.End(50, 2, LeaseEnd::kFailed);
  scene.board.ObserveOwnEnd(50, 2, LeaseEnd::kFailed, scene.now_ms);
  scene.Commit(1);
  EXPECT_EQ(scene.Take(), 3) << "a second time is for others";
  scene.Lease(50, 3);
  scene.End(50, 3, LeaseEnd::kFailed);
  EXPECT_NE(scene.Take(), 50);
  scene.now_ms += kTtlMs;
  const UnitBoard::Choice choice = scene.Next();
  EXPECT_EQ(choice.action, Action::kQuarantine) << "as soon as it is seen";
  EXPECT_EQ(choice.unit, 50);
}

TEST(UnitBoardTroubleTest, AWorkerAloneTriesAgainWhenOthersHadTheirTurn) {
  Scene scene(Of(100));
  EXPECT_EQ(scene.Take(), 0);
  scene.End(0, 1, LeaseEnd::kFailed);
  scene.board.ObserveOwnEnd(0, 1, LeaseEnd::kFailed, scene.now_ms);
  EXPECT_EQ(scene.Take(), 1);
  scene.now_ms = 3 * kTtlMs;
  EXPECT_EQ(scene.Take(), 2) << "it does not succeed";
  scene.Commit(1);
  --scene.now_ms;
  EXPECT_EQ(scene.Take(), 3) << "not yet";
  ++scene.now_ms;
  EXPECT_EQ(scene.Take(), 0);
  EXPECT_EQ(scene.Take(), 4);
}

// The units of the second block are another worker's, which has failed one of them and is alone.
class ReportTest : public ::testing::Test {
 protected:
  static constexpr int64_t kUnit = 1500;

  ReportTest() : scene(Of(2'000, 0, 2)) {
    EXPECT_EQ(scene.Take(), 0);
    scene.Lease(kUnit, 1);
    scene.End(kUnit, 1, LeaseEnd::kFailed);
    scene.reports = {{kUnit, 1}};
    scene.now_ms = kTtlMs;
  }

  Scene scene;
};

TEST_F(ReportTest, AWorkerOfAnotherBlockComes) {
  EXPECT_EQ(scene.Take(), 1) << "no unit of it has succeeded";
  scene.Commit(0);
  EXPECT_EQ(scene.Take(), kUnit);
  EXPECT_EQ(scene.report_reads, 1);
  EXPECT_EQ(scene.looks, (std::vector<int64_t>{0, 0, 1}));
  EXPECT_EQ(scene.board.TakeReport(kUnit), 1) << "to be deleted";
  EXPECT_EQ(scene.board.TakeReport(kUnit), std::nullopt);
  EXPECT_EQ(scene.Take(), 2) << "and goes back";
}

TEST_F(ReportTest, WhatProvesWrongIsForgotten) {
  scene.Commit(0);
  scene.Lease(kUnit, 2);
  EXPECT_EQ(scene.Take(), 1);
  EXPECT_TRUE(scene.reports.empty());
  EXPECT_EQ(scene.looks, (std::vector<int64_t>{0, 0, 1}));
}

TEST_F(ReportTest, WhatMayKillItsOwnersWaits) {
  scene.Commit(0);
  for (const int64_t epoch : {2, 3, 4}) scene.Lease(kUnit, epoch);
  scene.End(kUnit, 4, LeaseEnd::kFailed);
  scene.reports = {{kUnit, 4}};
  EXPECT_EQ(scene.Take(), 1);
  EXPECT_TRUE(scene.reports.empty());
}

TEST_F(ReportTest, TheThirdToFailSetsAside) {
  scene.Commit(0);
  scene.Lease(kUnit, 2);
  scene.End(kUnit, 2, LeaseEnd::kFailed);
  scene.reports = {{kUnit, 2}};
  EXPECT_EQ(scene.Take(), kUnit);
  scene.board.TakeReport(kUnit);
  scene.board.ObserveOwnEnd(kUnit, 3, LeaseEnd::kFailed, scene.now_ms);
  const UnitBoard::Choice choice = scene.Next();
  EXPECT_EQ(choice.action, Action::kQuarantine);
  EXPECT_EQ(choice.unit, kUnit);
  scene.board.MarkFinished(kUnit);
  EXPECT_EQ(scene.Take(), 1);
}

// Its own failure, which nobody has taken up, in a block that it has left.
TEST_F(ReportTest, AWorkerAloneComesBack) {
  scene.listings[1].leases.clear();
  scene.board.ObserveOwnEnd(0, 1, LeaseEnd::kFailed, scene.now_ms);
  scene.End(0, 1, LeaseEnd::kFailed);
  scene.reports = {{0, 1}};
  for (int64_t unit = 1; unit < 1000; ++unit) scene.listings[0].committed.push_back(unit);
  const int64_t next = scene.Take();
  EXPECT_EQ(BlockOf(next), 1);
  scene.Commit(next);
  scene.now_ms += 3 * kTtlMs;
  EXPECT_EQ(scene.Take(), 0);
}

TEST_F(ReportTest, ABusyWorkerReadsReportsOnceInATimeToLive) {
  scene.reports.clear();
  for (int64_t unit = 1; unit < 900; ++unit) {
    EXPECT_EQ(scene.Take(), unit);
    scene.Commit(unit - 1);
    scene.now_ms += kTtlMs / 10;
  }
  EXPECT_LE(scene.report_reads, 91);
  EXPECT_LE(scene.looks.size(), 92u);
}

// The slow twin: whoever reads every lease of the run knows which units are to be tried.
std::set<int64_t> UnitsToTry(const Scene& scene, const std::map<int64_t, int64_t>& own_failures) {
  std::map<int64_t, std::map<int64_t, std::optional<LeaseEnd>>> claims;
  std::set<int64_t> units;
  for (const auto& [block, listing] : scene.listings) {
    for (const auto& [name, written_ms] : listing.leases) {
      auto& end = claims[name.unit][name.epoch];
      if (name.end) end = name.end;
    }
  }
  for (const auto& [unit, ends] : claims) {
    int64_t failures = 0;
    int64_t vanished = 0;
    for (const auto& [epoch, end] : ends) {
      if (end == LeaseEnd::kFailed) ++failures;
      if (!end) ++vanished;
    }
    const std::optional<LeaseEnd>& last_end = ends.rbegin()->second;
    // One of its own block that has failed too often is set aside, whatever came after.
    if (BlockOf(unit) == 0 && last_end && failures >= 3) units.insert(unit);
    const auto own = own_failures.find(unit);
    const bool is_ours = own == own_failures.end() || scene.now_ms - own->second >= 3 * kTtlMs;
    if (last_end == LeaseEnd::kFailed && vanished < 2 && is_ours) units.insert(unit);
  }
  for (const auto& [block, listing] : scene.listings) {
    for (const int64_t unit : listing.committed) units.erase(unit);
  }
  return units;
}

TEST(UnitBoardTroubleTest, FindsWhatSomebodyWouldWhoReadsEverything) {
  constexpr std::optional<LeaseEnd> kEnds[] = {std::nullopt, LeaseEnd::kFailed, LeaseEnd::kFailed,
                                               LeaseEnd::kReleased};
  Random random(7);
  size_t found = 0;
  for (int round = 0; round < 300; ++round) {
    Scene scene(Of(4'000, 0, 4));
    scene.Commit(scene.Take());
    std::map<int64_t, int64_t> own_failures;
    std::set<int64_t> drawn;
    while (drawn.size() < 8) {
      const auto unit = static_cast<int64_t>(10 + random.Below(3'990));
      if (!drawn.insert(unit).second) continue;
      const auto claims = static_cast<int64_t>(1 + random.Below(4));
      std::optional<LeaseEnd> end;
      int64_t failures = 0;
      for (int64_t epoch = 1; epoch <= claims; ++epoch) {
        scene.Lease(unit, epoch);
        end = kEnds[random.Below(4)];
        if (end) scene.End(unit, epoch, *end);
        if (end == LeaseEnd::kFailed) ++failures;
      }
      if (end == LeaseEnd::kFailed) {
        scene.reports.push_back({unit, claims});
        if (failures < 3 && random.Below(2) == 0) {
          own_failures[unit] = 0;
          scene.board.ObserveOwnEnd(unit, claims, LeaseEnd::kFailed, 0);
        }
      }
      if (random.Below(4) == 0) scene.listings[BlockOf(unit)].committed.push_back(unit);
    }
    scene.Commit(scene.Take());
    scene.now_ms = (round % 2 == 0 ? 2 : 3) * kTtlMs;
    std::set<int64_t> wanted = UnitsToTry(scene, own_failures);
    found += wanted.size();
    std::set<int64_t> tried;
    while (true) {
      const UnitBoard::Choice choice = scene.Next();
      if (choice.action == Action::kQuarantine) {
        scene.board.MarkFinished(choice.unit);
      } else {
        ASSERT_EQ(choice.action, Action::kClaim);
        scene.board.ObserveOwnClaim(choice.unit, choice.epoch, scene.now_ms);
        if (choice.unit < 10) break;  // a fresh one: nothing is left to be tried
      }
      tried.insert(choice.unit);
    }
    EXPECT_EQ(tried, wanted) << "round " << round;
  }
  EXPECT_GT(found, 300u);
}

// Started again and again, it would else set aside all that it touches.
TEST(UnitBoardTroubleTest, ABrokenWorkerDoesNotTryWhatOthersFailed) {
  Scene scene(Of(100));
  scene.Lease(50, 1);
  scene.End(50, 1, LeaseEnd::kFailed);
  EXPECT_EQ(scene.Take(), 0) << "no unit of it has succeeded";
  scene.Commit(0);
  EXPECT_EQ(scene.Take(), 50);
  scene.board.ObserveOwnEnd(50, 2, LeaseEnd::kReleased, scene.now_ms);
  const int64_t next = scene.Take();
  scene.board.ObserveOwnEnd(next, 1, LeaseEnd::kFailed, scene.now_ms);
  scene.Lease(60, 1);
  scene.End(60, 1, LeaseEnd::kFailed);
  scene.now_ms += kTtlMs;
  EXPECT_NE(scene.Take(), 60) << "its last one failed";
}

TEST(UnitBoardTroubleTest, ABusyWorkerSetsAsideWhatKilledTooManyOwners) {
  for (const int64_t claims : {19, 20}) {
    Scene scene(Of(100));
    for (int64_t epoch = 1; epoch <= claims; ++epoch) scene.Lease(50, epoch);
    EXPECT_EQ(scene.Take(), 0);
    scene.store_now_ms = 2 * kTtlMs;
    const UnitBoard::Choice choice = scene.Next();
    EXPECT_EQ(choice.action, claims < 20 ? Action::kClaim : Action::kExamine);
    if (claims < 20) continue;
    EXPECT_EQ(choice.unit, 50);
    scene.board.ObserveHolder(50, Holder::kAlive, scene.now_ms);
    EXPECT_EQ(scene.Next().action, Action::kClaim) << "just examined";
    scene.board.ObserveHolder(50, Holder::kGone, scene.now_ms);
    EXPECT_EQ(scene.Next().action, Action::kQuarantine) << "with a unit in its hands, too";
  }
}

}  // namespace
}  // namespace thresher
