#ifndef THRESHER_DASHBOARD_EVENT_LOG_H_
#define THRESHER_DASHBOARD_EVENT_LOG_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "monitor/alerts.h"
#include "monitor/run_status.h"

namespace thresher {

enum class EventLevel { kInfo, kWarning };

struct RunEvent {
  int64_t number = 0;  // from 1 on
  int64_t unix_ms = 0;
  EventLevel level = EventLevel::kInfo;
  std::string text;  // one line for people
};

// What has happened in a run since it is watched: the differences between looks at it. Not
// thread-safe.
class EventLog {
 public:
  static constexpr size_t kKept = 200;

  // A new look, at `unix_ms`, and the alerts that hold at it.
  void Observe(const RunStatus& status, const std::vector<Alert>& alerts, int64_t unix_ms);
  // Alerts alone: the run could not be read.
  void Observe(const std::vector<Alert>& alerts, int64_t unix_ms);

  // The newest kKept, ascending.
  const std::deque<RunEvent>& events() const { return events_; }

 private:
  void Add(EventLevel level, std::string text);
  void ObserveWorkers(const RunStatus& status);

  std::deque<RunEvent> events_;
  int64_t last_number_ = 0;
  int64_t now_ms_ = 0;
  bool has_seen_run_ = false;
  RunState state_ = RunState::kIncomplete;
  std::map<std::string, WorkerState> workers_;  // by session
  std::set<int64_t> quarantined_;
  int64_t taken_over_count_ = 0;
  int64_t duplicates_ = 0;
  std::set<AlertKind> alerts_;
};

}  // namespace thresher

#endif  // THRESHER_DASHBOARD_EVENT_LOG_H_
