// The part of UnitBoard that is about units with which something is wrong: what failed, and what
// others may have left.

#include "work/unit_board.h"

namespace thresher {
namespace {

// So many times to live others have to take up what this worker has failed.
constexpr int64_t kTurnOfOthersTtls = 3;

}  // namespace

// A worker that always finds the next unit would never hear what became of others' units.
std::optional<UnitBoard::Choice> UnitBoard::LookAround(const Times& times) {
  if (current_unit_ < 0) return std::nullopt;
  const auto is_due = [&](int64_t last_ms) {
    return times.now_ms - last_ms >= options_.lease_ttl_ms;
  };
  if (const BlockView* view = CurrentView(); view && is_due(view->looked_ms())) {
    return Choice{.action = Action::kLook, .block = BlockOf(current_unit_)};
  }
  if (NeedsReports() && is_due(reports_read_ms_)) return Choice{.action = Action::kReadReports};
  return std::nullopt;
}

// What is wrong with a unit is to be known while the run goes on, not at its end: a unit that
// failed is tried soon, by somebody else, whose units succeed. (A worker that is broken itself, and
// is started again and again, would else set aside what is sound.) A unit whose owners have
// vanished is left for the end, but not once too often.
std::optional<UnitBoard::Choice> UnitBoard::FromTroubled(const Times& times) {
  const BlockView* view = CurrentView();
  if (!view) return std::nullopt;
  const SampleRange units = view->units();
  std::optional<Choice> next;
  for (int64_t unit = units.first; unit < units.end(); ++unit) {
    const UnitView& seen = view->unit(unit);
    if (seen.finished || own_claims_.contains(unit)) continue;
    if (seen.IsAbandoned() && IsPoisoned(seen)) return Inherit(seen, unit);
    if (next) continue;
    if (seen.IsHeld() && seen.vanished + 1 >= options_.max_vanished && MayBeGone(seen, times)) {
      next = Examine(seen, unit);
    } else if (succeeds_ && seen.end == LeaseEnd::kFailed && IsOurTurn(unit, times) &&
               seen.vanished < kSuspiciousVanished) {
      next = Inherit(seen, unit);
    }
  }
  return next;
}

// The same for other blocks, in which the worker that failed a unit may be alone. Whoever claims
// the unit deletes the report, so that few of many workers come for it. What a look does not bear
// out is deleted too: the unit was claimed again, is finished, or may kill its owners.
std::optional<UnitBoard::Choice> UnitBoard::FromReports(const Times& times) {
  for (const auto& [unit, epoch] : reports_) {
    const int64_t block = BlockOf(unit);
    const BlockView* view = ViewOf(block);
    const UnitView* seen = view ? &view->unit(unit) : nullptr;
    const bool is_fresh = view && view->looked_ms() >= reports_read_ms_;
    const bool is_past = IsFinished(block) || (seen && (seen->finished || seen->epoch > epoch));
    const bool is_borne_out = seen && seen->epoch == epoch && seen->end == LeaseEnd::kFailed &&
                              seen->vanished < kSuspiciousVanished;
    if (is_past || (is_fresh && !is_borne_out)) {
      const Choice forget{.action = Action::kForget, .unit = unit, .epoch = epoch};
      reports_.erase(forget.unit);
      return forget;
    }
    if (is_fresh && IsPoisoned(*seen)) return Inherit(*seen, unit);
    if (!succeeds_ || !IsOurTurn(unit, times)) continue;
    if (!is_fresh) return Choice{.action = Action::kLook, .block = block};
    return Inherit(*seen, unit);
  }
  return std::nullopt;
}

// A second time is for others. If none has come, they have none to send.
bool UnitBoard::IsOurTurn(int64_t unit, const Times& times) const {
  const auto failed = own_failures_.find(unit);
  return failed == own_failures_.end() ||
         times.now_ms - failed->second >= kTurnOfOthersTtls * options_.lease_ttl_ms;
}

// Of a unit that is abandoned.
bool UnitBoard::IsPoisoned(const UnitView& view) const {
  const int64_t vanished = view.vanished + (view.end ? 0 : 1);
  return view.failures >= options_.max_failures || vanished >= options_.max_vanished;
}

UnitBoard::Choice UnitBoard::Inherit(const UnitView& view, int64_t unit) const {
  return {.action = IsPoisoned(view) ? Action::kQuarantine : Action::kClaim,
          .unit = unit,
          .epoch = view.epoch + 1};
}

UnitBoard::Choice UnitBoard::Examine(const UnitView& view, int64_t unit) const {
  return {
      .action = Action::kExamine, .unit = unit, .epoch = view.epoch, .written_ms = view.written_ms};
}

bool UnitBoard::DeservesExamination(const UnitView& view, const Times& times) const {
  return examinations_left_ > 0 && MayBeGone(view, times);
}

// And its holder was not looked at just now.
bool UnitBoard::MayBeGone(const UnitView& view, const Times& times) const {
  const bool is_old_there = times.store_now_ms >= 0 && view.written_ms >= 0 &&
                            times.store_now_ms - view.written_ms > SilenceMs();
  // The store's timestamps may lie in the future, if its clock was set back.
  const bool is_old_here = times.now_ms - view.first_seen_ms > SilenceMs();
  const bool is_due = view.examined_ms < 0 || times.now_ms - view.examined_ms >= SilenceMs();
  return (is_old_there || is_old_here) && is_due;
}

bool UnitBoard::DeservesBackup(const UnitView& view, const Times& times) const {
  // A unit that may kill its owners waits for the time to live, and is then set aside.
  if (view.vanished + 1 >= options_.max_vanished) return false;
  if (view.holder == Holder::kSilent) return true;
  return times.backup_after_ms > 0 && times.store_now_ms >= 0 && view.written_ms >= 0 &&
         times.store_now_ms - view.written_ms > times.backup_after_ms;
}

}  // namespace thresher
