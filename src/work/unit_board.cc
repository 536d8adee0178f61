#include "work/unit_board.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"

namespace thresher {

UnitBoard::UnitBoard(Options options)
    : options_(std::move(options)),
      states_(static_cast<size_t>(options_.unit_count), State::kUnclaimed) {
  THRESHER_CHECK(options_.unit_count > 0);
  THRESHER_CHECK(!options_.stream_count || *options_.stream_count > 0);
}

int64_t UnitBoard::Claim::Failures() const {
  return std::count_if(ends.begin(), ends.end(),
                       [](const auto& end) { return end.second == LeaseEnd::kFailed; });
}

int64_t UnitBoard::Claim::Vanished() const {
  return std::count_if(epochs.begin(), epochs.end(),
                       [&](int64_t claimed) { return !ends.contains(claimed); });
}

bool UnitBoard::IsFinished(int64_t unit) const {
  const State state = states_[static_cast<size_t>(unit)];
  return state == State::kCommitted || state == State::kQuarantined;
}

void UnitBoard::MarkCommitted(int64_t unit) {
  State& state = states_.at(static_cast<size_t>(unit));
  if (state == State::kCommitted) return;
  // A commit that arrives after the unit was set aside counts: the data are there.
  if (state == State::kQuarantined) --quarantined_count_;
  state = State::kCommitted;
  ++committed_count_;
  claims_.erase(unit);
}

void UnitBoard::MarkQuarantined(int64_t unit) {
  State& state = states_.at(static_cast<size_t>(unit));
  if (IsFinished(unit)) return;
  state = State::kQuarantined;
  ++quarantined_count_;
  claims_.erase(unit);
}

void UnitBoard::ObserveClaim(int64_t unit, int64_t epoch, const std::string& session) {
  if (IsFinished(unit)) return;
  states_[static_cast<size_t>(unit)] = State::kClaimed;
  Claim& claim = claims_[unit];
  claim.epochs.insert(epoch);
  if (epoch < claim.epoch) return;
  claim.epoch = epoch;
  claim.session = session;
  claim.ended = claim.ends.contains(epoch);
}

void UnitBoard::ObserveOlderClaim(int64_t unit, int64_t epoch) {
  if (!IsFinished(unit)) claims_[unit].epochs.insert(epoch);
}

void UnitBoard::ObserveClaimEnd(int64_t unit, int64_t epoch, LeaseEnd end) {
  if (IsFinished(unit)) return;
  states_[static_cast<size_t>(unit)] = State::kClaimed;
  Claim& claim = claims_[unit];
  claim.ends[epoch] = end;
  if (epoch < claim.epoch) return;
  claim.epoch = epoch;
  claim.ended = true;
}

void UnitBoard::ObserveSession(const std::string& session, bool alive) { alive_[session] = alive; }

std::vector<std::string> UnitBoard::SessionsThatHold() const {
  std::set<std::string> sessions;
  for (const auto& [unit, claim] : claims_) {
    if (!claim.ended && claim.session != options_.session) sessions.insert(claim.session);
  }
  return {sessions.begin(), sessions.end()};
}

SampleRange UnitBoard::OwnStream() const {
  if (!options_.stream_count) return {0, 0};
  const int64_t count = *options_.stream_count;
  const int64_t stream = options_.stream % count;
  const int64_t first = stream * options_.unit_count / count;
  return {first, (stream + 1) * options_.unit_count / count - first};
}

std::optional<int64_t> UnitBoard::FirstUnclaimed(SampleRange units) const {
  for (int64_t unit = units.first; unit < units.end(); ++unit) {
    if (states_[static_cast<size_t>(unit)] == State::kUnclaimed) return unit;
  }
  return std::nullopt;
}

// The owner of the unit before a gap goes on at the gap's front, so a newcomer starts in its
// middle: both halves then shrink from the front, and the two meet as late as possible.
std::optional<int64_t> UnitBoard::UnclaimedInLargestGap() const {
  int64_t best_first = 0;
  int64_t best_count = 0;
  int64_t first = 0;
  for (int64_t unit = 0; unit <= options_.unit_count; ++unit) {
    const bool open =
        unit < options_.unit_count && states_[static_cast<size_t>(unit)] == State::kUnclaimed;
    if (open) continue;
    if (unit - first > best_count) {
      best_first = first;
      best_count = unit - first;
    }
    first = unit + 1;
  }
  if (best_count == 0) return std::nullopt;
  const auto before = claims_.find(best_first - 1);
  const bool somebody_comes = before != claims_.end() && !IsAbandoned(before->second) &&
                              before->second.session != options_.session;
  return somebody_comes ? best_first + best_count / 2 : best_first;
}

bool UnitBoard::IsAbandoned(const Claim& claim) const {
  if (claim.ended) return true;
  if (claim.session == options_.session) return false;
  const auto session = alive_.find(claim.session);
  return session != alive_.end() && !session->second;
}

std::optional<UnitBoard::Choice> UnitBoard::TakeOver() const {
  for (const auto& [unit, claim] : claims_) {
    if (!IsAbandoned(claim)) continue;
    const bool poisoned =
        claim.Failures() >= options_.max_failures || claim.Vanished() >= options_.max_vanished;
    return Choice{poisoned ? Action::kQuarantine : Action::kClaim, unit, claim.epoch + 1};
  }
  return std::nullopt;
}

UnitBoard::Choice UnitBoard::Next() const {
  if (committed_count_ + quarantined_count_ == options_.unit_count) return {Action::kDone, 0, 0};
  if (const auto unit = FirstUnclaimed(OwnStream())) return {Action::kClaim, *unit, 1};
  if (const auto unit = UnclaimedInLargestGap()) return {Action::kClaim, *unit, 1};
  if (const auto choice = TakeOver()) return *choice;
  return {Action::kWait, 0, 0};
}

}  // namespace thresher
