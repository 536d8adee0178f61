#include "monitor/run_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "extract/completion.h"
#include "monitor/manifest_totals.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr double kMillisecondsPerSecond = 1000;
constexpr double kMillisecondsPerHour = 3'600'000;

std::vector<int64_t> CommittedUnits(const RunStatus& status) {
  std::vector<int64_t> committed;
  for (size_t unit = 0; unit < status.units.size(); ++unit) {
    if (status.units[unit] == UnitCondition::kCommitted)
      committed.push_back(static_cast<int64_t>(unit));
  }
  return committed;
}

// Units that workers alive hold, and what all workers have done together.
void AddUpWorkers(RunStatus& status) {
  int64_t taken_over = 0;
  for (const WorkerStatus& worker : status.workers) {
    const Heartbeat& beat = worker.heartbeat;
    status.duplicates += beat.units_duplicate;
    taken_over += beat.units_taken_over;
    status.machine_hours +=
        static_cast<double>(std::max<int64_t>(0, beat.updated_unix_ms - beat.started_unix_ms)) /
        kMillisecondsPerHour;
    if (worker.state == WorkerState::kRunning) {
      const bool knows_recent = beat.beat_interval_ms > 0;
      status.tokens_per_second +=
          knows_recent ? beat.recent_tokens_per_second : beat.tokens_per_second;
      status.bytes_per_second += beat.recent_bytes_per_second;
    }
    if (!worker.is_alive()) continue;
    for (const int64_t unit : beat.units_held) {
      if (unit >= status.unit_count) continue;
      UnitCondition& state = status.units[static_cast<size_t>(unit)];
      if (state == UnitCondition::kOpen || state == UnitCondition::kWaiting)
        state = UnitCondition::kHeld;
    }
  }
  if (!status.are_leases_listed) status.taken_over_count = taken_over;
}

// Three heartbeats of the slowest worker alive: a claim that is older shows in one.
int64_t FreshnessMs(const RunStatus& status) {
  int64_t freshness_ms = 0;
  for (const WorkerStatus& worker : status.workers) {
    if (!worker.is_alive()) continue;
    freshness_ms = std::max(freshness_ms, 3 * worker.heartbeat.beat_interval_ms);
  }
  return freshness_ms;
}

RunState JudgeFinished(const RunStatus& status) {
  if (status.finished_count() < status.unit_count) return RunState::kIncomplete;
  const bool has_exceptions = status.quarantined_count > 0 || status.samples_rejected > 0;
  return has_exceptions ? RunState::kCompleteWithExceptions : RunState::kComplete;
}

void EstimateRates(RunStatus& status) {
  const int64_t end_ms = status.ended_ms > 0 ? status.ended_ms : status.now_ms;
  const double seconds = static_cast<double>(std::max<int64_t>(1, end_ms - status.started_ms)) /
                         kMillisecondsPerSecond;
  status.overall_tokens_per_second = static_cast<double>(status.forward_tokens) / seconds;
  status.overall_bytes_per_second = static_cast<double>(status.bytes) / seconds;
  // Units read about equally many tokens.
  if (status.committed_count == 0 || status.tokens_per_second <= 0 || status.IsFinished()) return;
  const double tokens_per_unit =
      static_cast<double>(status.forward_tokens) / static_cast<double>(status.committed_count);
  const auto left = static_cast<double>(status.unit_count - status.finished_count());
  status.remaining_ms = static_cast<int64_t>(kMillisecondsPerSecond * left * tokens_per_unit /
                                             status.tokens_per_second);
}

}  // namespace

Status RunReader::LoadOrExtendRun() {
  if (run_) {
    const Result<ObjectInfo> next = store_.Stat(ExtensionKey(run_->extension_count + 1));
    if (next.status().code() == Code::kNotFound) return OkStatus();
    RETURN_IF_ERROR(next.status());
  }
  ASSIGN_OR_RETURN(Run run, LoadRun(store_));
  ASSIGN_OR_RETURN(const ObjectInfo info, store_.Stat(kRunKey));
  run_ = std::move(run);
  started_ms_ = info.modified_ms;
  return OkStatus();
}

// The sums over what is committed.
Status RunReader::Total(const RunStatusOptions& options, RunStatus& status) {
  const std::vector<int64_t> committed = CommittedUnits(status);
  const bool all = options.exact || static_cast<int64_t>(committed.size()) <= kExactTotalsUnits;
  commits_.Read(store_, committed, all);
  commits_.Describe(*run_, committed, status);
  if (options.read_sequence_lengths) commits_.DescribeSequences(store_, status);
  if (status.totals_source != TotalsSource::kSample ||
      status.finished_count() < status.unit_count) {
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const std::optional<ManifestTotals> totals, ReadManifestTotals(store_, *run_));
  if (!totals) return OkStatus();
  // The manifest does not say what the model read; that is in proportion to what is stored.
  if (status.tokens > 0) {
    status.forward_tokens = static_cast<int64_t>(static_cast<double>(status.forward_tokens) *
                                                 static_cast<double>(totals->token_count) /
                                                 static_cast<double>(status.tokens));
  }
  status.totals_source = TotalsSource::kManifest;
  status.samples_rejected = totals->rejected_count;
  status.samples_stored = totals->sample_count - totals->rejected_count;
  status.samples_truncated = totals->truncated_count;
  status.tokens = totals->token_count;
  status.bytes = totals->bytes;
  return OkStatus();
}

Result<RunStatus> RunReader::Read(const RunStatusOptions& options) {
  RETURN_IF_ERROR(LoadOrExtendRun());
  RunStatus status;
  status.url = store_.url();
  status.unit_count = run_->plan.unit_count();
  status.sample_count = run_->plan.sample_count();
  status.started_ms = started_ms_;
  RETURN_IF_ERROR(workers_.Look(store_, options.now_unix_ms));
  RETURN_IF_ERROR(units_.Look(store_, *run_, status));
  RETURN_IF_ERROR(Total(options, status));
  status.now_ms =
      std::max({workers_.StoreNowMs(options.now_unix_ms), units_.newest_ms(), started_ms_});
  status.state = JudgeFinished(status);
  workers_.Describe(options.lease_ttl_ms, status);
  AddUpWorkers(status);
  units_.MarkFreshClaims(status.now_ms - FreshnessMs(status), status);
  const bool somebody_is_alive =
      status.CountOf(WorkerState::kRunning) + status.CountOf(WorkerState::kSilent) > 0;
  if (status.state == RunState::kIncomplete && somebody_is_alive) {
    status.state = RunState::kRunning;
  }
  if (status.IsFinished()) status.ended_ms = status.last_finished_ms;
  for (const UnitCondition state : status.units) ++status.unit_counts[static_cast<size_t>(state)];
  EstimateRates(status);
  return status;
}

}  // namespace thresher
