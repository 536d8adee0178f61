#include "monitor/alerts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_size.h"

namespace thresher {
namespace {

// "worker 3 (host a), worker 5 (host b) and 4 more"
std::string Names(const std::vector<const WorkerStatus*>& workers) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, workers.size()); ++i) {
    const Heartbeat& beat = workers[i]->heartbeat;
    text += fmt::format("{}worker {}", i == 0 ? "" : ", ", beat.worker_id);
    if (!beat.host.empty()) text += fmt::format(" ({}, process {})", beat.host, beat.process_id);
  }
  if (workers.size() > kShown) text += fmt::format(" and {} more", workers.size() - kShown);
  return text;
}

template <typename Predicate>
std::vector<const WorkerStatus*> WorkersThat(const RunStatus& status, const Predicate& predicate) {
  std::vector<const WorkerStatus*> found;
  for (const WorkerStatus& worker : status.workers) {
    if (predicate(worker)) found.push_back(&worker);
  }
  return found;
}

void FindWorkerAlerts(const RunStatus& status, const AlertSettings& settings,
                      std::vector<Alert>& alerts) {
  const auto silent = WorkersThat(
      status, [](const WorkerStatus& worker) { return worker.state == WorkerState::kSilent; });
  const auto idle = WorkersThat(status, [&](const WorkerStatus& worker) {
    return worker.stalled_ms > settings.stuck_after_ms;
  });
  std::string text;
  if (!silent.empty()) text = "no heartbeat from " + Names(silent);
  if (!idle.empty()) {
    text += (text.empty() ? "" : "; ") + fmt::format("{} held units for {} and computed nothing",
                                                     Names(idle),
                                                     FormatDuration(settings.stuck_after_ms));
  }
  if (!text.empty()) alerts.push_back({AlertKind::kWorkerStuck, text});
  const auto lost = WorkersThat(
      status, [](const WorkerStatus& worker) { return worker.state == WorkerState::kLost; });
  if (lost.empty() || status.IsFinished()) return;
  alerts.push_back({AlertKind::kWorkerLost, Names(lost) +
                                                " vanished and did not come back; others make its "
                                                "units, and it may be started again"});
}

void FindRunAlerts(const RunStatus& status, const AlertSettings& settings,
                   std::vector<Alert>& alerts) {
  if (status.state == RunState::kIncomplete) {
    alerts.push_back(
        {AlertKind::kNoWorkers,
         fmt::format("{} units are missing and nobody works: start thresher extract again",
                     FormatCount(status.unit_count - status.finished_count()))});
  }
  const int64_t since_ms = status.now_ms - status.last_finished_ms;
  if (!status.IsFinished() && since_ms > settings.stuck_after_ms) {
    alerts.push_back(
        {AlertKind::kRunStuck, "no unit has been finished for " + FormatDuration(since_ms)});
  }
  const bool is_steady = status.now_ms - status.started_ms > kSteadyAfterMs;
  if (status.state == RunState::kRunning && is_steady &&
      status.tokens_per_second < 0.5 * status.overall_tokens_per_second) {
    alerts.push_back(
        {AlertKind::kThroughputFalling, fmt::format("{} tokens/s now, {} in the mean of the run",
                                                    FormatRate(status.tokens_per_second),
                                                    FormatRate(status.overall_tokens_per_second))});
  }
}

void FindFailureAlerts(const RunStatus& status, std::vector<Alert>& alerts) {
  const auto uploading = WorkersThat(status, FailsToUpload);
  if (!uploading.empty()) {
    alerts.push_back({AlertKind::kUploadsFailing,
                      fmt::format("{} could not upload a shard; try thresher doctor {}",
                                  Names(uploading), status.url)});
  }
  const auto computing = WorkersThat(status, FailsToCompute);
  if (!computing.empty()) {
    alerts.push_back(
        {AlertKind::kUnitsFailing,
         fmt::format("{} could not compute a unit, and others try it; the last error of worker {}: "
                     "{}",
                     Names(computing), computing.front()->heartbeat.worker_id,
                     computing.front()->heartbeat.last_error)});
  }
}

bool IsFresh(const WorkerStatus& worker, int64_t failed_unix_ms) {
  return worker.is_alive() && failed_unix_ms > 0 &&
         worker.heartbeat.updated_unix_ms - failed_unix_ms < kFailureFreshMs;
}

}  // namespace

std::string_view AlertName(AlertKind kind) {
  switch (kind) {
    case AlertKind::kStoreUnreachable:
      return "ThresherStoreUnreachable";
    case AlertKind::kWorkerStuck:
      return "ThresherWorkerStuck";
    case AlertKind::kWorkerLost:
      return "ThresherWorkerLost";
    case AlertKind::kNoWorkers:
      return "ThresherNoWorkers";
    case AlertKind::kRunStuck:
      return "ThresherRunStuck";
    case AlertKind::kThroughputFalling:
      return "ThresherThroughputFalling";
    case AlertKind::kUploadsFailing:
      return "ThresherUploadsFailing";
    case AlertKind::kUnitsFailing:
      return "ThresherUnitsFailing";
    case AlertKind::kUnitsQuarantined:
      return "ThresherUnitsQuarantined";
    case AlertKind::kDeadlineMissed:
      return "ThresherDeadlineMissed";
  }
  return "";
}

std::string_view AlertSeverityName(AlertSeverity severity) {
  return severity == AlertSeverity::kCritical ? "critical" : "warning";
}

AlertSeverity SeverityOf(AlertKind kind) {
  switch (kind) {
    case AlertKind::kStoreUnreachable:
    case AlertKind::kNoWorkers:
    case AlertKind::kRunStuck:
    case AlertKind::kDeadlineMissed:
      return AlertSeverity::kCritical;
    default:
      return AlertSeverity::kWarning;
  }
}

bool FailsToUpload(const WorkerStatus& worker) {
  return IsFresh(worker, worker.heartbeat.upload_failed_unix_ms);
}

bool FailsToCompute(const WorkerStatus& worker) {
  return IsFresh(worker, worker.heartbeat.unit_failed_unix_ms);
}

std::vector<Alert> FindAlerts(const RunStatus& status, const AlertSettings& settings) {
  std::vector<Alert> alerts;
  FindWorkerAlerts(status, settings, alerts);
  FindRunAlerts(status, settings, alerts);
  FindFailureAlerts(status, alerts);
  if (status.quarantined_count > 0) {
    alerts.push_back({AlertKind::kUnitsQuarantined,
                      fmt::format("{} units failed too often and were set aside; thresher clean {} "
                                  "--reopen N tries again",
                                  FormatCount(status.quarantined_count), status.url)});
  }
  if (settings.deadline_unix_ms && status.remaining_ms &&
      status.now_ms + *status.remaining_ms > *settings.deadline_unix_ms) {
    const int64_t late_ms = status.now_ms + *status.remaining_ms - *settings.deadline_unix_ms;
    alerts.push_back({AlertKind::kDeadlineMissed, "at the speed of now the run ends " +
                                                      FormatDuration(late_ms) +
                                                      " after the deadline: add workers"});
  }
  return alerts;
}

Alert StoreUnreachable(std::string_view why, int64_t since_ms) {
  return {AlertKind::kStoreUnreachable,
          fmt::format("the store has not answered for {}: {}", FormatDuration(since_ms), why)};
}

}  // namespace thresher
