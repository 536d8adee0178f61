#include "work/block_view.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"

namespace thresher {
namespace {

// All claims of one unit in a listing.
struct ListedClaims {
  std::map<int64_t, int64_t> written_ms;  // by epoch
  std::map<int64_t, LeaseEnd> ends;       // by epoch
};

}  // namespace

size_t BlockView::Index(int64_t unit) const {
  THRESHER_CHECK(unit >= units_.first && unit < units_.end());
  return static_cast<size_t>(unit - units_.first);
}

void BlockView::Observe(const BlockListing& listing, int64_t now_ms) {
  looked_ms_ = now_ms;
  const auto is_here = [&](int64_t unit) { return unit >= units_.first && unit < units_.end(); };
  for (const auto* finished : {&listing.committed, &listing.quarantined}) {
    for (const int64_t unit : *finished) {
      if (is_here(unit)) MarkFinished(unit);
    }
  }
  std::map<int64_t, ListedClaims> listed;
  for (const auto& [name, written_ms] : listing.leases) {
    if (!is_here(name.unit) || unit(name.unit).finished) continue;
    ListedClaims& claims = listed[name.unit];
    if (name.end) {
      claims.ends[name.epoch] = *name.end;
    } else {
      claims.written_ms[name.epoch] = written_ms;
    }
  }
  for (const auto& [unit, claims] : listed) {
    if (claims.written_ms.empty()) continue;
    const auto& [epoch, written_ms] = *claims.written_ms.rbegin();
    ObserveClaim(unit, epoch, written_ms, now_ms);
    UnitView& view = views_[Index(unit)];
    int64_t failures = 0;
    int64_t vanished = 0;
    for (const auto& [claim, written] : claims.written_ms) {
      const auto end = claims.ends.find(claim);
      if (end == claims.ends.end()) {
        if (claim < epoch) ++vanished;
      } else {
        if (end->second == LeaseEnd::kFailed) ++failures;
        if (claim == view.epoch) view.end = end->second;
      }
    }
    view.failures = std::max(view.failures, failures);
    view.vanished = std::max(view.vanished, vanished);
  }
}

void BlockView::MarkFinished(int64_t unit) {
  UnitView& view = views_[Index(unit)];
  if (view.finished) return;
  view.finished = true;
  ++finished_count_;
}

void BlockView::ObserveClaim(int64_t unit, int64_t epoch, int64_t written_ms, int64_t now_ms) {
  UnitView& view = views_[Index(unit)];
  if (view.epoch == epoch) view.written_ms = std::max(view.written_ms, written_ms);
  if (view.epoch >= epoch) return;
  view.epoch = epoch;
  view.end = std::nullopt;
  view.holder = Holder::kAlive;
  view.written_ms = written_ms;
  view.first_seen_ms = now_ms;
  view.examined_ms = -1;
}

void BlockView::ObserveClaimEnd(int64_t unit, int64_t epoch, LeaseEnd end) {
  UnitView& view = views_[Index(unit)];
  if (view.epoch != epoch || view.end) return;
  view.end = end;
  if (end == LeaseEnd::kFailed) ++view.failures;
}

void BlockView::ObserveHolder(int64_t unit, Holder holder, int64_t now_ms) {
  UnitView& view = views_[Index(unit)];
  view.holder = holder;
  view.examined_ms = now_ms;
}

bool BlockView::AllClaimed() const {
  return std::all_of(views_.begin(), views_.end(),
                     [](const UnitView& view) { return view.finished || view.epoch > 0; });
}

}  // namespace thresher
