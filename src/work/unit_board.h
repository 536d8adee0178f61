#ifndef THRESHER_WORK_UNIT_BOARD_H_
#define THRESHER_WORK_UNIT_BOARD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "work/keys.h"
#include "work/plan.h"

namespace thresher {

// What one worker knows about the units of a run, and its choice of the next one. A pure decision:
// no store, no clock, no thread. What it knows may be out of date: a wrong choice costs work, never
// exactness, since only the commit decides. Not thread-safe.
class UnitBoard {
 public:
  struct Options {
    int64_t unit_count = 0;
    std::string session;  // this worker's own
    int64_t stream = 0;   // the part of the units that this worker prefers, of
    std::optional<int64_t> stream_count =
        std::nullopt;           // so many equal parts; unknown: no preference
    int64_t max_failures = 3;   // a unit that failed so often is set aside
    int64_t max_vanished = 20;  // so is one whose owners vanished so often
  };

  explicit UnitBoard(Options options);

  // What was seen in the store. Claims may be reported in any order and more than once.
  void MarkCommitted(int64_t unit);
  void MarkQuarantined(int64_t unit);
  void ObserveClaim(int64_t unit, int64_t epoch, const std::string& session);
  // A claim that is known not to be the newest.
  void ObserveOlderClaim(int64_t unit, int64_t epoch);
  void ObserveClaimEnd(int64_t unit, int64_t epoch, LeaseEnd end);
  void ObserveSession(const std::string& session, bool alive);

  enum class Action {
    kClaim,       // try to create claim number `epoch` of `unit`
    kQuarantine,  // set `unit` aside: it failed too often
    kWait,        // everything that is left is held by sessions that are alive
    kDone,        // every unit is committed or set aside
  };
  struct Choice {
    Action action = Action::kDone;
    int64_t unit = 0;
    int64_t epoch = 0;
  };
  Choice Next() const;

  // Sessions that hold the newest claim of an unfinished unit: those whose life matters.
  std::vector<std::string> SessionsThatHold() const;

  int64_t committed_count() const { return committed_count_; }
  int64_t quarantined_count() const { return quarantined_count_; }
  int64_t unit_count() const { return options_.unit_count; }
  bool IsFinished(int64_t unit) const;

 private:
  enum class State : uint8_t { kUnclaimed, kClaimed, kCommitted, kQuarantined };

  struct Claim {
    int64_t epoch = 0;  // the newest
    std::string session;
    bool ended = false;
    std::set<int64_t> epochs;          // of all claims
    std::map<int64_t, LeaseEnd> ends;  // by epoch
    int64_t Failures() const;
    int64_t Vanished() const;  // claims that ended without a word, if the newest has
  };

  SampleRange OwnStream() const;  // of units
  std::optional<int64_t> FirstUnclaimed(SampleRange units) const;
  std::optional<int64_t> UnclaimedInLargestGap() const;
  std::optional<Choice> TakeOver() const;
  bool IsAbandoned(const Claim& claim) const;

  Options options_;
  std::vector<State> states_;
  std::map<int64_t, Claim> claims_;  // of unfinished units
  std::map<std::string, bool> alive_;
  int64_t committed_count_ = 0;
  int64_t quarantined_count_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_WORK_UNIT_BOARD_H_
