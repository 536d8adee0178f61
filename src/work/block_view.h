#ifndef THRESHER_WORK_BLOCK_VIEW_H_
#define THRESHER_WORK_BLOCK_VIEW_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "work/keys.h"
#include "work/plan.h"

namespace thresher {

// What the store's lists say about a block of units.
struct BlockListing {
  struct SeenLease {
    LeaseName name;
    int64_t written_ms = 0;  // the store's time
  };
  std::vector<SeenLease> leases;
  std::vector<int64_t> committed;
  std::vector<int64_t> quarantined;
};

// What the signs of life of a claim's holder say, if they were looked at.
enum class Holder : uint8_t {
  kAlive,   // or not looked at
  kSilent,  // for so long that it may be gone: nobody's loss if an idle worker makes the unit too
  kGone,    // for longer than the time to live: the unit is anybody's
};

// What one worker knows about one unit. What was once seen is never forgotten for an older list.
struct UnitView {
  bool finished = false;        // committed or set aside
  int64_t epoch = 0;            // of the newest claim; 0: never claimed
  std::optional<LeaseEnd> end;  // how the newest claim ended, if it did
  Holder holder = Holder::kAlive;
  int64_t failures = 0;       // claims that ended as failed
  int64_t vanished = 0;       // claims before the newest that ended without a word
  int64_t written_ms = -1;    // of the newest claim, the store's time; -1: unknown
  int64_t first_seen_ms = 0;  // of the newest claim, and the last look at its holder: the
  int64_t examined_ms = -1;   // worker's own monotonic time; -1: never

  // Nobody works on it, and no attempt has failed.
  bool IsOpen() const { return !finished && (epoch == 0 || end == LeaseEnd::kReleased); }
  // Somebody worked on it and does so no longer.
  bool IsAbandoned() const {
    return !finished && epoch > 0 && (end.has_value() || holder == Holder::kGone);
  }
  bool IsHeld() const { return !finished && epoch > 0 && !end && holder != Holder::kGone; }
};

// What one worker knows about a block. A value; no store, no clock.
class BlockView {
 public:
  // `units`: those of the block.
  explicit BlockView(SampleRange units) : units_(units), views_(static_cast<size_t>(units.count)) {}

  // Takes a new listing into account. Names of other blocks are passed over.
  void Observe(const BlockListing& listing, int64_t now_ms);

  void MarkFinished(int64_t unit);
  void ObserveClaim(int64_t unit, int64_t epoch, int64_t written_ms, int64_t now_ms);
  void ObserveClaimEnd(int64_t unit, int64_t epoch, LeaseEnd end);
  // What came of a look at the holder of the newest claim.
  void ObserveHolder(int64_t unit, Holder holder, int64_t now_ms);

  const SampleRange& units() const { return units_; }
  const UnitView& unit(int64_t unit) const { return views_[Index(unit)]; }
  int64_t finished_count() const { return finished_count_; }
  bool AllClaimed() const;  // each unit has been claimed, or is finished
  int64_t looked_ms() const { return looked_ms_; }

 private:
  size_t Index(int64_t unit) const;

  SampleRange units_;
  std::vector<UnitView> views_;
  int64_t finished_count_ = 0;
  int64_t looked_ms_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_WORK_BLOCK_VIEW_H_
