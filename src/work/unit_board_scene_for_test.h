#ifndef THRESHER_WORK_UNIT_BOARD_SCENE_FOR_TEST_H_
#define THRESHER_WORK_UNIT_BOARD_SCENE_FOR_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "work/unit_board.h"

namespace thresher {

using Action = UnitBoard::Action;

// A worker's board before the store as it is: answers what the board asks until it wants to act.
class Scene {
 public:
  explicit Scene(UnitBoard::Options options) : board(options) {}

  UnitBoard::Choice Next() {
    bool rechecked = false;
    while (true) {
      const UnitBoard::Choice choice = board.Next({now_ms, store_now_ms, backup_after_ms});
      switch (choice.action) {
        case Action::kReadIndex:
          ++index_reads;
          board.ObserveIndex(index, now_ms);
          board.ObserveReports(reports, now_ms);
          break;
        case Action::kReadReports:
          ++report_reads;
          board.ObserveReports(reports, now_ms);
          break;
        case Action::kForget:
          std::erase_if(reports, [&](const FailureReport& report) {
            return report.unit == choice.unit && report.epoch == choice.epoch;
          });
          break;
        case Action::kLook:
          looks.push_back(choice.block);
          board.ObserveBlock(choice.block, listings[choice.block], now_ms);
          break;
        case Action::kMark:
          index.push_back({choice.block, board.UnitsOf(choice.block).count, choice.mark});
          break;
        case Action::kWait: {
          const auto block = rechecked ? std::nullopt : board.BlockToRecheck();
          if (!block) return choice;
          rechecked = true;
          board.ObserveBlock(*block, listings[*block], now_ms);
          break;
        }
        default:
          return choice;
      }
    }
  }

  // Takes the next unit, which must be there to be taken.
  int64_t Take() {
    const UnitBoard::Choice choice = Next();
    EXPECT_EQ(choice.action, Action::kClaim);
    Lease(choice.unit, choice.epoch);
    board.ObserveOwnClaim(choice.unit, choice.epoch, now_ms);
    return choice.unit;
  }

  void Commit(int64_t unit) {
    listings[BlockOf(unit)].committed.push_back(unit);
    board.ObserveOwnCommit(unit);
  }

  void Lease(int64_t unit, int64_t epoch, int64_t written_ms = 0) {
    listings[BlockOf(unit)].leases.push_back({{unit, epoch, std::nullopt}, written_ms});
  }
  void End(int64_t unit, int64_t epoch, LeaseEnd end) {
    listings[BlockOf(unit)].leases.push_back({{unit, epoch, end}, 0});
  }

  UnitBoard board;
  std::map<int64_t, BlockListing> listings;  // by block: what the store says
  std::vector<BlockMarkName> index;
  int64_t now_ms = 0;
  int64_t store_now_ms = 0;
  int64_t backup_after_ms = 0;
  int64_t index_reads = 0;
  std::vector<FailureReport> reports;
  int64_t report_reads = 0;
  std::vector<int64_t> looks;
};

inline constexpr int64_t kTtlMs = 1000;

inline UnitBoard::Options Of(int64_t units, int64_t stream = 0,
                             std::optional<int64_t> streams = {}) {
  return {.unit_count = units, .stream = stream, .stream_count = streams, .lease_ttl_ms = kTtlMs};
}

}  // namespace thresher

#endif  // THRESHER_WORK_UNIT_BOARD_SCENE_FOR_TEST_H_
