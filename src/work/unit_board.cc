#include "work/unit_board.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

// A refused claim shows that a view is out of date, unless it is as young as this.
constexpr int64_t kYoungViewMs = 2'000;
constexpr int64_t kYoungIndexMs = 30'000;
constexpr int64_t kExaminationsARound = 2;

}  // namespace

UnitBoard::UnitBoard(Options options)
    : options_(options),
      random_(options_.seed),
      block_count_(BlockCount(options_.unit_count)),
      finished_(static_cast<size_t>(block_count_)),
      claimed_(finished_.size()),
      finished_units_(finished_.size()) {
  THRESHER_CHECK(options_.unit_count > 0);
  THRESHER_CHECK(!options_.stream_count || *options_.stream_count > 0);
  stream_block_ = BlockOf(OwnStream().first);
}

SampleRange UnitBoard::UnitsOf(int64_t block) const {
  const int64_t first = block * kBlockUnits;
  return {first, std::min(kBlockUnits, options_.unit_count - first)};
}

SampleRange UnitBoard::OwnStream() const {
  if (!options_.stream_count) return {0, 0};
  const int64_t count = *options_.stream_count;
  const int64_t stream = options_.stream % count;
  const int64_t first = stream * options_.unit_count / count;
  return {first, (stream + 1) * options_.unit_count / count - first};
}

BlockView* UnitBoard::ViewOf(int64_t block) {
  const auto found = views_.find(block);
  return found == views_.end() ? nullptr : &found->second;
}

BlockView* UnitBoard::CurrentView() {
  return current_unit_ < 0 ? nullptr : ViewOf(BlockOf(current_unit_));
}

bool UnitBoard::HasUnclaimed(int64_t block) const {
  return !IsFinished(block) && !claimed_[static_cast<size_t>(block)];
}

int64_t UnitBoard::finished_count() const {
  int64_t count = 0;
  for (int64_t block = 0; block < block_count_; ++block) {
    count += IsFinished(block) ? UnitsOf(block).count : finished_units_[static_cast<size_t>(block)];
  }
  return count;
}

// --- what was seen ---

void UnitBoard::ObserveIndex(const std::vector<BlockMarkName>& marks, int64_t now_ms) {
  index_read_ms_ = now_ms;
  for (const auto& [block, units, mark] : marks) {
    // A mark of a smaller size is of the time before the run was extended.
    if (block >= block_count_ || units != UnitsOf(block).count) continue;
    if (mark == BlockMark::kFinished) {
      if (!IsFinished(block)) FinishBlock(block);
    } else {
      claimed_[static_cast<size_t>(block)] = true;
    }
  }
}

void UnitBoard::ObserveReports(const std::vector<FailureReport>& reports, int64_t now_ms) {
  reports_read_ms_ = now_ms;
  reports_.clear();
  for (const auto& [unit, epoch] : reports) {
    if (unit >= options_.unit_count) continue;
    int64_t& newest = reports_[unit];
    newest = std::max(newest, epoch);
  }
}

std::optional<int64_t> UnitBoard::TakeReport(int64_t unit) {
  const auto found = reports_.find(unit);
  if (found == reports_.end()) return std::nullopt;
  const int64_t epoch = found->second;
  reports_.erase(found);
  return epoch;
}

void UnitBoard::FinishBlock(int64_t block) {
  THRESHER_CHECK(!IsFinished(block));
  finished_[static_cast<size_t>(block)] = true;
  ++finished_block_count_;
  blocks_to_revisit_.erase(block);
  views_.erase(block);
}

void UnitBoard::ObserveBlock(int64_t block, const BlockListing& listing, int64_t now_ms) {
  if (IsFinished(block)) return;
  const SampleRange units = UnitsOf(block);
  BlockView& view = views_.try_emplace(block, units).first->second;
  view.Observe(listing, now_ms);
  // Our own claims count even if the list does not show them yet.
  for (auto own = own_claims_.lower_bound(units.first);
       own != own_claims_.end() && own->first < units.end(); ++own) {
    view.ObserveClaim(own->first, own->second, -1, now_ms);
  }
  if (refused_block_ == block) refused_block_ = -1;
  blocks_to_revisit_.erase(block);
  Settle(block);
  EvictViews();
}

void UnitBoard::ObserveHolder(int64_t unit, Holder holder, int64_t now_ms) {
  if (BlockView* view = ViewOf(BlockOf(unit))) view->ObserveHolder(unit, holder, now_ms);
}

void UnitBoard::ObserveClaim(int64_t unit, int64_t epoch, int64_t now_ms) {
  refused_block_ = BlockOf(unit);
  if (BlockView* view = ViewOf(BlockOf(unit))) view->ObserveClaim(unit, epoch, -1, now_ms);
  Settle(BlockOf(unit));
}

void UnitBoard::MarkFinished(int64_t unit) {
  own_claims_.erase(unit);
  if (BlockView* view = ViewOf(BlockOf(unit))) view->MarkFinished(unit);
  Settle(BlockOf(unit));
}

void UnitBoard::ObserveOwnClaim(int64_t unit, int64_t epoch, int64_t now_ms) {
  own_claims_[unit] = epoch;
  BlockView* view = ViewOf(BlockOf(unit));
  // What others failed is tried in passing: the worker goes on where it was.
  const bool is_in_passing = view && view->unit(unit).end == LeaseEnd::kFailed;
  if (current_unit_ < 0 || !is_in_passing) current_unit_ = unit;
  if (view) view->ObserveClaim(unit, epoch, -1, now_ms);
  Settle(BlockOf(unit));
}

void UnitBoard::ObserveOwnEnd(int64_t unit, int64_t epoch, LeaseEnd end, int64_t now_ms) {
  own_claims_.erase(unit);
  if (end == LeaseEnd::kFailed) {
    own_failures_[unit] = now_ms;
    if (NeedsReports()) reports_[unit] = epoch;
    succeeds_ = false;
  }
  if (BlockView* view = ViewOf(BlockOf(unit))) view->ObserveClaimEnd(unit, epoch, end);
}

void UnitBoard::ObserveOwnCommit(int64_t unit) {
  blocks_to_revisit_.insert(BlockOf(unit));
  succeeds_ = true;
  MarkFinished(unit);
}

// Draws the conclusions from a block's view.
void UnitBoard::Settle(int64_t block) {
  const BlockView* view = ViewOf(block);
  if (!view) return;
  const auto index = static_cast<size_t>(block);
  finished_units_[index] = static_cast<int16_t>(view->finished_count());
  // What the index says was known before: a mark that is due now is not there yet.
  if (view->finished_count() == view->units().count) {
    marks_.push_back({.action = Action::kMark, .block = block, .mark = BlockMark::kFinished});
    FinishBlock(block);
  } else if (!claimed_[index] && view->AllClaimed()) {
    claimed_[index] = true;
    if (block_count_ > 1) {
      marks_.push_back({.action = Action::kMark, .block = block, .mark = BlockMark::kClaimed});
    }
  }
}

void UnitBoard::EvictViews() {
  while (views_.size() > options_.max_views) {
    auto oldest = views_.end();
    for (auto view = views_.begin(); view != views_.end(); ++view) {
      if (current_unit_ >= 0 && view->first == BlockOf(current_unit_)) continue;
      if (oldest == views_.end() || view->second.looked_ms() < oldest->second.looked_ms()) {
        oldest = view;
      }
    }
    views_.erase(oldest);
  }
}

// --- what to do ---

UnitBoard::Choice UnitBoard::Next(const Times& times) {
  if (const auto choice = PendingMark()) return *choice;
  if (finished_block_count_ == block_count_) return {.action = Action::kDone};
  if (index_read_ms_ < 0) return {.action = Action::kReadIndex};
  if (const BlockView* view = ViewOf(refused_block_);
      view && times.now_ms - view->looked_ms() >= kYoungViewMs) {
    return {.action = Action::kLook, .block = refused_block_};
  }
  if (const auto choice = BlockLeftBehind()) return *choice;
  if (const auto choice = LookAround(times)) return *choice;
  if (const auto choice = FromTroubled(times)) return *choice;
  if (const auto choice = FromReports(times)) return *choice;
  if (const auto choice = FromOwnStream()) return *choice;
  if (const auto choice = FromCurrentBlock()) return *choice;
  if (const auto choice = FromLargestGap()) return *choice;
  if (const auto choice = LookAtUnknownBlock(times)) return *choice;
  if (const auto choice = FromOthers(times)) return *choice;
  return {.action = Action::kWait};
}

std::optional<UnitBoard::Choice> UnitBoard::PendingMark() {
  if (marks_.empty()) return std::nullopt;
  const Choice mark = marks_.back();
  marks_.pop_back();
  return mark;
}

// The worker that commits the last unit of a block is the one to see it: a last look at a block in
// which it has nothing more to do.
std::optional<UnitBoard::Choice> UnitBoard::BlockLeftBehind() {
  for (const int64_t block : blocks_to_revisit_) {
    const SampleRange units = UnitsOf(block);
    const auto own = own_claims_.lower_bound(units.first);
    if (own != own_claims_.end() && own->first < units.end()) continue;
    const BlockView* view = ViewOf(block);
    if (view && FirstOpen(*view, units)) continue;
    blocks_to_revisit_.erase(block);
    return Choice{.action = Action::kLook, .block = block};
  }
  return std::nullopt;
}

UnitBoard::Choice UnitBoard::Claim(const BlockView& view, int64_t unit) const {
  return {.action = Action::kClaim, .unit = unit, .epoch = view.unit(unit).epoch + 1};
}

std::optional<int64_t> UnitBoard::FirstOpen(const BlockView& view, SampleRange units) const {
  const int64_t first = std::max(units.first, view.units().first);
  const int64_t end = std::min(units.end(), view.units().end());
  for (int64_t unit = first; unit < end; ++unit) {
    if (view.unit(unit).IsOpen() && !own_claims_.contains(unit)) return unit;
  }
  return std::nullopt;
}

std::optional<UnitBoard::Choice> UnitBoard::FromOwnStream() {
  const SampleRange stream = OwnStream();
  for (; stream_block_ * kBlockUnits < stream.end(); ++stream_block_) {
    if (IsFinished(stream_block_)) continue;
    const BlockView* view = ViewOf(stream_block_);
    if (!view && HasUnclaimed(stream_block_)) {
      return Choice{.action = Action::kLook, .block = stream_block_};
    }
    if (!view) continue;
    if (const auto unit = FirstOpen(*view, stream)) return Claim(*view, *unit);
  }
  return std::nullopt;
}

// On along the gap in which the worker is.
std::optional<UnitBoard::Choice> UnitBoard::FromCurrentBlock() {
  if (current_unit_ < 0) return std::nullopt;
  const int64_t next = current_unit_ + 1;
  if (next >= options_.unit_count || BlockOf(next) != BlockOf(current_unit_)) return std::nullopt;
  const BlockView* view = ViewOf(BlockOf(next));
  if (!view || !view->unit(next).IsOpen() || own_claims_.contains(next)) return std::nullopt;
  return Claim(*view, next);
}

UnitBoard::Gap UnitBoard::LargestGap(const BlockView& view) const {
  Gap best;
  int64_t first = view.units().first;
  for (int64_t unit = first; unit <= view.units().end(); ++unit) {
    if (unit < view.units().end() && view.unit(unit).IsOpen() && !own_claims_.contains(unit)) {
      continue;
    }
    if (unit - first > best.count) best = {first, unit - first};
    first = unit + 1;
  }
  return best;
}

// The owner of the unit before a gap goes on at the gap's front, so a newcomer starts behind its
// middle: both parts then shrink from the front, and the two meet as late as possible. Several
// newcomers at the same moment do not all choose the same unit.
std::optional<UnitBoard::Choice> UnitBoard::FromLargestGap() {
  Gap best;
  const BlockView* best_view = nullptr;
  for (const auto& [block, view] : views_) {
    const Gap gap = LargestGap(view);
    if (gap.count > best.count) {
      best = gap;
      best_view = &view;
    }
  }
  if (!best_view) return std::nullopt;
  const int64_t before = best.first - 1;
  const bool somebody_comes = before >= best_view->units().first &&
                              best_view->unit(before).IsHeld() && !own_claims_.contains(before);
  if (!somebody_comes) return Claim(*best_view, best.first);
  const auto spread = static_cast<int64_t>(
      random_.Below(static_cast<uint64_t>(std::max<int64_t>(1, best.count / 4))));
  return Claim(*best_view, best.first + best.count / 2 + spread);
}

std::optional<UnitBoard::Choice> UnitBoard::LookAtUnknownBlock(const Times& times) {
  std::vector<int64_t> unknown;
  for (int64_t block = 0; block < block_count_; ++block) {
    if (HasUnclaimed(block) && !views_.contains(block)) unknown.push_back(block);
  }
  if (unknown.empty()) return std::nullopt;
  if (times.now_ms - index_read_ms_ > kYoungIndexMs) return Choice{.action = Action::kReadIndex};
  return Choice{.action = Action::kLook, .block = unknown[random_.Below(unknown.size())]};
}

// What others have begun: abandoned units, then holders that may be gone, then slow ones. Each
// worker begins its search at another place.
std::optional<UnitBoard::Choice> UnitBoard::FromOthers(const Times& times) {
  std::optional<Choice> examine;
  std::optional<Choice> backup;
  for (const auto& [block, view] : views_) {
    const SampleRange units = view.units();
    const auto offset = static_cast<int64_t>(random_.Below(static_cast<uint64_t>(units.count)));
    for (int64_t i = 0; i < units.count; ++i) {
      const int64_t unit = units.first + (i + offset) % units.count;
      const UnitView& seen = view.unit(unit);
      if (seen.finished || own_claims_.contains(unit)) continue;
      const bool is_risky = seen.vanished >= kSuspiciousVanished && !own_claims_.empty();
      if (seen.IsAbandoned() && (!is_risky || IsPoisoned(seen))) return Inherit(seen, unit);
      if (is_risky || !seen.IsHeld()) continue;
      if (!examine && DeservesExamination(seen, times)) examine = Examine(seen, unit);
      if (!backup && DeservesBackup(seen, times)) {
        backup = Choice{.action = Action::kClaim, .unit = unit, .epoch = seen.epoch + 1};
      }
    }
  }
  if (!examine) return backup;
  --examinations_left_;
  return examine;
}

std::optional<int64_t> UnitBoard::BlockToRecheck() {
  examinations_left_ = kExaminationsARound;
  std::vector<int64_t> unfinished;
  for (int64_t block = 0; block < block_count_; ++block) {
    if (!IsFinished(block)) unfinished.push_back(block);
  }
  if (unfinished.empty()) return std::nullopt;
  return unfinished[random_.Below(unfinished.size())];
}

}  // namespace thresher
