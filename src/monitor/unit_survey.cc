#include "monitor/unit_survey.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "engine/cpu/parallel.h"
#include "work/keys.h"

namespace thresher {
namespace {

// The time goes into waiting for the store, not into computing.
constexpr int kReaders = 32;

int64_t UnitsOfBlock(int64_t block, int64_t unit_count) {
  return std::min(kBlockUnits, unit_count - block * kBlockUnits);
}

}  // namespace

// Marks of another size are of before an extension and say nothing. A mark that is gone opens its
// block again.
Status UnitSurvey::ReadMarks(Store& store, int64_t unit_count) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, kIndexPrefix));
  blocks_.resize(static_cast<size_t>(BlockCount(unit_count)));
  std::vector<int64_t> finished_ms(blocks_.size(), -1);
  for (const ObjectInfo& object : objects) {
    newest_ms_ = std::max(newest_ms_, object.modified_ms);
    const std::optional<BlockMarkName> mark = ParseBlockMarkKey(object.key);
    if (!mark || mark->mark != BlockMark::kFinished) continue;
    if (mark->block >= BlockCount(unit_count)) continue;
    if (mark->units != UnitsOfBlock(mark->block, unit_count)) continue;
    finished_ms[static_cast<size_t>(mark->block)] = object.modified_ms;
  }
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const bool is_finished = finished_ms[i] >= 0;
    if (is_finished != blocks_[i].is_finished) blocks_[i].are_claims_final = false;
    blocks_[i].is_finished = is_finished;
    blocks_[i].finished_ms = finished_ms[i];
  }
  return OkStatus();
}

// Called for several blocks at the same time. Small runs' finished blocks are listed, too: that is
// one list, and the times of commits are worth it.
Status UnitSurvey::ListBlock(Store& store, int64_t index, int64_t unit_count, bool list_claims) {
  Block& block = blocks_[static_cast<size_t>(index)];
  const std::string prefix = BlockPrefix(index);
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> commits,
                   ListAll(store, std::string(kCommitsPrefix) + prefix));
  block.committed.clear();
  block.committed_ms.clear();
  for (const ObjectInfo& object : commits) {
    const std::optional<int64_t> unit = UnitOfRecordKey(object.key, kCommitsPrefix);
    if (!unit || BlockOf(*unit) != index || *unit >= unit_count) continue;
    block.committed.push_back(*unit);
    block.committed_ms.push_back(object.modified_ms);
  }
  if (!list_claims || block.are_claims_final) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> leases,
                   ListAll(store, std::string(kLeasesPrefix) + prefix));
  block.claimed.clear();
  block.claims = {};
  for (const ObjectInfo& object : leases) {
    const std::optional<LeaseName> name = ParseLeaseKey(object.key);
    if (!name || BlockOf(name->unit) != index || name->unit >= unit_count) continue;
    if (name->end && *name->end == LeaseEnd::kFailed) ++block.claims.failed;
    // A claim is listed before what says how it ended: "e2", "e2.failed".
    NewestClaim& claim = block.claimed[name->unit];
    if (name->epoch < claim.epoch) continue;
    claim = {name->epoch, object.modified_ms, name->end.has_value()};
  }
  for (const auto& [unit, claim] : block.claimed) {
    ++block.claims.claimed;
    if (claim.epoch > 1) ++block.claims.taken_over;
    block.claims.largest_epoch = std::max(block.claims.largest_epoch, claim.epoch);
  }
  block.are_claims_final = block.is_finished;
  return OkStatus();
}

Status UnitSurvey::ReadQuarantine(Store& store, const std::vector<int64_t>& units,
                                  RunStatus& status) {
  std::erase_if(quarantine_, [&](const auto& known) {
    return !std::binary_search(units.begin(), units.end(), known.first);
  });
  for (const int64_t unit : units) {
    if (quarantine_.size() == kListedQuarantines) break;
    if (quarantine_.contains(unit)) continue;
    Result<Quarantine> record = thresher::ReadQuarantine(store, unit);
    if (record.ok()) {
      quarantine_.emplace(unit, *std::move(record));
    } else {
      status.unreadable.push_back(record.status().message());
    }
  }
  return OkStatus();
}

void UnitSurvey::Describe(const std::vector<int64_t>& set_aside, RunStatus& status) const {
  const auto unit_count = static_cast<size_t>(status.unit_count);
  status.units.assign(unit_count, UnitCondition::kOpen);
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const Block& block = blocks_[b];
    if (block.is_finished && block.committed.empty()) {
      const auto begin = status.units.begin() + static_cast<int64_t>(b) * kBlockUnits;
      std::fill_n(begin, UnitsOfBlock(static_cast<int64_t>(b), status.unit_count),
                  UnitCondition::kCommitted);
    }
    for (const auto& [unit, claim] : block.claimed) {
      status.units[static_cast<size_t>(unit)] = UnitCondition::kWaiting;
    }
    for (const int64_t unit : block.committed) {
      status.units[static_cast<size_t>(unit)] = UnitCondition::kCommitted;
    }
    status.lease_count += block.claims.claimed;
    status.taken_over_count += block.claims.taken_over;
    status.failed_attempts += block.claims.failed;
    status.largest_epoch = std::max(status.largest_epoch, block.claims.largest_epoch);
  }
  for (const int64_t unit : set_aside) {
    const Block& block = blocks_[static_cast<size_t>(BlockOf(unit))];
    // A commit that came later counts; of a marked block that was not listed it is not known.
    UnitCondition& state = status.units[static_cast<size_t>(unit)];
    if (!std::binary_search(block.committed.begin(), block.committed.end(), unit)) {
      state = UnitCondition::kQuarantined;
    }
  }
  for (const UnitCondition state : status.units) {
    if (state == UnitCondition::kCommitted) ++status.committed_count;
    if (state == UnitCondition::kQuarantined) ++status.quarantined_count;
  }
  for (const auto& [unit, record] : quarantine_) {
    if (status.units[static_cast<size_t>(unit)] == UnitCondition::kQuarantined) {
      status.quarantined.push_back(record);
    }
  }
}

void UnitSurvey::MarkFreshClaims(int64_t since_ms, RunStatus& status) const {
  for (const Block& block : blocks_) {
    for (const auto& [unit, claim] : block.claimed) {
      UnitCondition& condition = status.units[static_cast<size_t>(unit)];
      const bool is_fresh = !claim.has_ended && claim.written_ms > since_ms;
      if (is_fresh && condition == UnitCondition::kWaiting) condition = UnitCondition::kHeld;
    }
  }
}

void UnitSurvey::DescribeTimes(RunStatus& status) const {
  std::vector<FinishedBin> times;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const Block& block = blocks_[b];
    if (block.is_finished && block.committed.empty()) {
      times.push_back(
          {block.finished_ms, UnitsOfBlock(static_cast<int64_t>(b), status.unit_count)});
    }
    for (const int64_t ms : block.committed_ms) times.push_back({ms, 1});
  }
  status.last_finished_ms = status.started_ms;
  for (const FinishedBin& time : times) {
    status.last_finished_ms = std::max(status.last_finished_ms, time.end_ms);
  }
  if (times.empty()) return;
  const int64_t length_ms = status.last_finished_ms - status.started_ms + 1;
  const auto bins = static_cast<int64_t>(kTimeBins);
  std::vector<int64_t> counts(kTimeBins);
  for (const FinishedBin& time : times) {
    const int64_t since_ms = std::max<int64_t>(0, time.end_ms - status.started_ms);
    counts[static_cast<size_t>(std::min(bins - 1, since_ms * bins / length_ms))] += time.units;
  }
  for (int64_t bin = 0; bin < bins; ++bin) {
    status.finished.push_back(
        {status.started_ms + (bin + 1) * length_ms / bins, counts[static_cast<size_t>(bin)]});
  }
}

Status UnitSurvey::Look(Store& store, const Run& run, RunStatus& status) {
  const int64_t unit_count = run.plan.unit_count();
  if (blocks_.size() != static_cast<size_t>(BlockCount(unit_count))) blocks_.clear();
  RETURN_IF_ERROR(ReadMarks(store, unit_count));
  const bool is_small = unit_count <= kListedLeaseUnits;
  std::vector<int64_t> to_list;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const Block& block = blocks_[b];
    const bool is_known =
        block.is_finished && (is_small ? block.are_claims_final : block.committed.empty());
    if (!is_known) to_list.push_back(static_cast<int64_t>(b));
  }
  std::mutex mutex;
  Status first_error;
  RETURN_IF_ERROR(
      ParallelFor(kReaders, static_cast<int64_t>(to_list.size()), [&](int64_t index, int) {
        const int64_t b = to_list[static_cast<size_t>(index)];
        if (!is_small && blocks_[static_cast<size_t>(b)].is_finished) {
          Block& block = blocks_[static_cast<size_t>(b)];
          block.committed.clear();
          block.committed_ms.clear();
          return;
        }
        const Status listed = ListBlock(store, b, unit_count, is_small);
        const std::lock_guard lock(mutex);
        if (first_error.ok()) first_error = listed;
      }));
  RETURN_IF_ERROR(first_error);
  for (const Block& block : blocks_) {
    for (const int64_t ms : block.committed_ms) newest_ms_ = std::max(newest_ms_, ms);
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> set_aside,
                   ListUnits(store, kQuarantinePrefix, unit_count));
  RETURN_IF_ERROR(ReadQuarantine(store, set_aside, status));
  status.are_leases_listed = is_small;
  Describe(set_aside, status);
  DescribeTimes(status);
  return OkStatus();
}

}  // namespace thresher
