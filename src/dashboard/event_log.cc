#include "dashboard/event_log.h"

#include <fmt/format.h>

#include <utility>

namespace thresher {
namespace {

// "worker 3, session 12ab, on host a"
std::string NameOf(const Heartbeat& beat) {
  std::string text = fmt::format("worker {}, session {}", beat.worker_id, beat.session);
  if (!beat.host.empty()) text += ", on " + beat.host;
  return text;
}

EventLevel LevelOf(WorkerState state) {
  return state == WorkerState::kSilent || state == WorkerState::kLost ? EventLevel::kWarning
                                                                      : EventLevel::kInfo;
}

}  // namespace

void EventLog::Add(EventLevel level, std::string text) {
  events_.push_back({++last_number_, now_ms_, level, std::move(text)});
  if (events_.size() > kKept) events_.pop_front();
}

void EventLog::ObserveWorkers(const RunStatus& status) {
  std::map<std::string, WorkerState> now;
  for (const WorkerStatus& worker : status.workers) {
    const Heartbeat& beat = worker.heartbeat;
    now.emplace(beat.session, worker.state);
    if (!has_seen_run_) continue;
    const auto before = workers_.find(beat.session);
    if (before == workers_.end()) {
      Add(EventLevel::kInfo, NameOf(beat) + ": started");
      if (worker.state == WorkerState::kRunning) continue;
    } else if (before->second == worker.state) {
      continue;
    }
    const bool is_back = worker.state == WorkerState::kRunning;
    std::string text =
        NameOf(beat) + ": " + (is_back ? "is back" : std::string(WorkerStateName(worker.state)));
    if (worker.state == WorkerState::kStopped && !beat.last_error.empty()) {
      text += "; last error: " + beat.last_error;
    }
    Add(LevelOf(worker.state), std::move(text));
  }
  workers_ = std::move(now);
}

void EventLog::Observe(const RunStatus& status, const std::vector<Alert>& alerts, int64_t unix_ms) {
  now_ms_ = unix_ms;
  if (!has_seen_run_) {
    Add(EventLevel::kInfo,
        fmt::format("watching began: the run is {}, {} of {} units are finished",
                    RunStateName(status.state), status.finished_count(), status.unit_count));
  }
  ObserveWorkers(status);
  for (const Quarantine& unit : status.quarantined) {
    if (!quarantined_.insert(unit.unit).second || !has_seen_run_) continue;
    Add(EventLevel::kWarning,
        fmt::format("unit {} was set aside: {}", unit.unit,
                    unit.errors.empty() ? "no reason given" : unit.errors.front()));
  }
  if (has_seen_run_ && status.taken_over_count > taken_over_count_) {
    Add(EventLevel::kInfo,
        fmt::format("{} units were taken over", status.taken_over_count - taken_over_count_));
  }
  if (has_seen_run_ && status.duplicates > duplicates_) {
    Add(EventLevel::kInfo,
        fmt::format("{} duplicates were thrown away", status.duplicates - duplicates_));
  }
  if (has_seen_run_ && status.state != state_) {
    Add(EventLevel::kInfo, fmt::format("the run is {}", RunStateName(status.state)));
  }
  taken_over_count_ = status.taken_over_count;
  duplicates_ = status.duplicates;
  state_ = status.state;
  has_seen_run_ = true;
  Observe(alerts, unix_ms);
}

void EventLog::Observe(const std::vector<Alert>& alerts, int64_t unix_ms) {
  now_ms_ = unix_ms;
  std::set<AlertKind> now;
  for (const Alert& alert : alerts) {
    now.insert(alert.kind);
    if (alerts_.contains(alert.kind)) continue;
    Add(EventLevel::kWarning, fmt::format("{}: {}", AlertName(alert.kind), alert.text));
  }
  for (const AlertKind kind : alerts_) {
    if (!now.contains(kind)) Add(EventLevel::kInfo, fmt::format("{} is over", AlertName(kind)));
  }
  alerts_ = std::move(now);
}

}  // namespace thresher
