#ifndef THRESHER_WORK_UNIT_BOARD_H_
#define THRESHER_WORK_UNIT_BOARD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/random.h"
#include "work/block_view.h"
#include "work/keys.h"
#include "work/plan.h"

namespace thresher {

// What one worker knows about a run, and what it does next to get a unit. A pure decision: no
// store, no clock, no thread. It sees blocks of units, a few at a time, so that what it costs to
// start and to go on does not grow with the run. What it knows may be out of date: a wrong choice
// costs work, never exactness, since only the commit decides. Not thread-safe.
//
// Which unit: first one that another session has failed, in this block or as reported from others,
// if this one's own units succeed; then those of its own stream, in order; then on in the block
// where it is; then the largest gap that others have left; then what others have abandoned; at last
// a second copy of what somebody has held for conspicuously long. A unit that has failed too often
// is set aside as soon as it is seen.
class UnitBoard {
 public:
  struct Options {
    int64_t unit_count = 0;
    int64_t stream = 0;  // the part of the units that this worker prefers, of
    std::optional<int64_t> stream_count =
        std::nullopt;  // so many equal parts; unknown: no preference
    int64_t lease_ttl_ms = 180'000;
    uint64_t seed = 0;          // of choices between equals: each worker its own
    int64_t max_failures = 3;   // a unit that failed so often is set aside
    int64_t max_vanished = 20;  // so is one whose owners vanished so often
    size_t max_views = 8;       // blocks that are known in detail at the same time
  };

  explicit UnitBoard(Options options);

  enum class Action {
    kReadIndex,    // list the index: ObserveIndex and ObserveReports
    kReadReports,  // list the failures that are reported there: ObserveReports
    kLook,         // list the leases and commits of `block`: ObserveBlock
    kMark,         // create the index mark `mark` of `block`
    kForget,       // delete the report that claim `epoch` of `unit` failed: it is out of date
    kClaim,        // try to create claim number `epoch` of `unit`
    kExamine,      // look at the holder of claim `epoch` of `unit`: ObserveHolder
    kQuarantine,   // set `unit` aside: it failed too often
    kWait,         // everything that is left is held by others
    kDone,         // every unit is committed or set aside
  };
  struct Choice {
    Action action = Action::kDone;
    int64_t block = 0;
    BlockMark mark = BlockMark::kClaimed;
    int64_t unit = 0;
    int64_t epoch = 0;
    int64_t written_ms = -1;  // kExamine: when the claim was written, the store's time
  };
  struct Times {
    int64_t now_ms = 0;           // the worker's own monotonic time
    int64_t store_now_ms = -1;    // the store's time, if known: what claims are dated by
    int64_t backup_after_ms = 0;  // a claim of this age deserves a second copy; 0: none does
  };
  Choice Next(const Times& times);

  // The worker is idle and has read the index again: which block it should look at again, if one is
  // left. Examinations are rationed: a few for each call.
  std::optional<int64_t> BlockToRecheck();

  // How long a claim and its holder may be silent before idle workers think of a second copy.
  int64_t SilenceMs() const { return options_.lease_ttl_ms / 4; }

  // What was seen in the store.
  void ObserveIndex(const std::vector<BlockMarkName>& marks, int64_t now_ms);
  void ObserveReports(const std::vector<FailureReport>& reports, int64_t now_ms);
  void ObserveBlock(int64_t block, const BlockListing& listing, int64_t now_ms);
  void ObserveHolder(int64_t unit, Holder holder, int64_t now_ms);
  // A claim that somebody else was found to hold.
  void ObserveClaim(int64_t unit, int64_t epoch, int64_t now_ms);
  void MarkFinished(int64_t unit);

  // What this worker did itself.
  void ObserveOwnClaim(int64_t unit, int64_t epoch, int64_t now_ms);
  void ObserveOwnEnd(int64_t unit, int64_t epoch, LeaseEnd end, int64_t now_ms);
  void ObserveOwnCommit(int64_t unit);

  // Whether workers of other blocks have to be told what failed.
  bool NeedsReports() const { return block_count_ > 1; }
  // The number of the claim of `unit` that was reported as failed, if one was; it is forgotten.
  std::optional<int64_t> TakeReport(int64_t unit);

  int64_t unit_count() const { return options_.unit_count; }
  // As far as is known.
  int64_t finished_count() const;
  SampleRange UnitsOf(int64_t block) const;

 private:
  // A unit whose owners vanished so often may kill the next one, with all that it holds.
  static constexpr int64_t kSuspiciousVanished = 2;

  struct Gap {
    int64_t first = 0;
    int64_t count = 0;
  };

  BlockView* ViewOf(int64_t block);
  BlockView* CurrentView();       // of the block in which the worker is; null: not known
  SampleRange OwnStream() const;  // of units
  bool IsFinished(int64_t block) const { return finished_[static_cast<size_t>(block)]; }
  bool HasUnclaimed(int64_t block) const;
  Choice Claim(const BlockView& view, int64_t unit) const;
  std::optional<int64_t> FirstOpen(const BlockView& view, SampleRange units) const;
  void Settle(int64_t block);
  void FinishBlock(int64_t block);
  std::optional<Choice> PendingMark();
  std::optional<Choice> BlockLeftBehind();
  std::optional<Choice> LookAround(const Times& times);
  std::optional<Choice> FromTroubled(const Times& times);
  std::optional<Choice> FromReports(const Times& times);
  std::optional<Choice> FromOwnStream();
  std::optional<Choice> FromCurrentBlock();
  std::optional<Choice> FromLargestGap();
  std::optional<Choice> LookAtUnknownBlock(const Times& times);
  std::optional<Choice> FromOthers(const Times& times);
  bool IsPoisoned(const UnitView& view) const;
  bool IsOurTurn(int64_t unit, const Times& times) const;
  Choice Inherit(const UnitView& view, int64_t unit) const;
  Choice Examine(const UnitView& view, int64_t unit) const;
  bool MayBeGone(const UnitView& view, const Times& times) const;
  bool DeservesExamination(const UnitView& view, const Times& times) const;
  bool DeservesBackup(const UnitView& view, const Times& times) const;
  Gap LargestGap(const BlockView& view) const;
  void EvictViews();

  Options options_;
  Random random_;
  int64_t block_count_;
  std::vector<bool> finished_;           // by block
  std::vector<bool> claimed_;            // by block: nothing is unclaimed in it
  std::vector<int16_t> finished_units_;  // by block, at least so many
  int64_t finished_block_count_ = 0;
  std::map<int64_t, BlockView> views_;       // by block
  std::map<int64_t, int64_t> own_claims_;    // unit -> epoch: in this worker's hands
  std::map<int64_t, int64_t> own_failures_;  // unit -> when this worker last failed it
  bool succeeds_ = false;                    // it has made one since the last of these
  std::map<int64_t, int64_t> reports_;       // unit -> claim that failed, as the index tells
  int64_t reports_read_ms_ = -1;
  std::set<int64_t> blocks_to_revisit_;  // where this worker committed something
  std::vector<Choice> marks_;            // to be written
  int64_t current_unit_ = -1;            // claimed last
  int64_t refused_block_ = -1;           // where somebody else was faster, since the last look
  int64_t examinations_left_ = 0;
  int64_t stream_block_;  // the first of the own stream that may have open units
  int64_t index_read_ms_ = -1;
};

}  // namespace thresher

#endif  // THRESHER_WORK_UNIT_BOARD_H_
