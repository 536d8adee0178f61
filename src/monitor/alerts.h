#ifndef THRESHER_MONITOR_ALERTS_H_
#define THRESHER_MONITOR_ALERTS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "monitor/run_status.h"

namespace thresher {

// What is wrong with a run, and whether somebody has to do something about it. The same definitions
// in Prometheus' language are in deploy/monitoring/alerts.yml; a test compares the names.

enum class AlertKind {
  kStoreUnreachable,   // the store does not answer whoever watches
  kWorkerStuck,        // a worker has missed its heartbeats, or computes nothing
  kWorkerLost,         // for longer than the time to live, and nobody has taken its place
  kNoWorkers,          // units are missing and nobody works
  kRunStuck,           // no unit has been finished for long
  kThroughputFalling,  // less than half of the run's mean
  kUploadsFailing,     // a worker could not upload a shard in the last minutes
  kUnitsFailing,       // a worker could not compute a unit in the last minutes
  kUnitsQuarantined,   // units were set aside
  kDeadlineMissed,     // at the speed of now the run ends too late
};
inline constexpr size_t kAlertKinds = 10;

// "ThresherWorkerStuck": as in alerts.yml.
std::string_view AlertName(AlertKind kind);

enum class AlertSeverity { kWarning, kCritical };
std::string_view AlertSeverityName(AlertSeverity severity);  // "warning", "critical"
AlertSeverity SeverityOf(AlertKind kind);

struct Alert {
  AlertKind kind = AlertKind::kRunStuck;
  std::string text;  // one line for people: what, who, since when, what to do
};

struct AlertSettings {
  int64_t stuck_after_ms = 600'000;  // of the run, and of a worker that computes nothing
  std::optional<int64_t> deadline_unix_ms = std::nullopt;
};

inline constexpr int64_t kFailureFreshMs = 300'000;
// A run's speed is compared with its mean only once it is this old.
inline constexpr int64_t kSteadyAfterMs = 600'000;

// True if the worker is alive and could not upload a shard, or compute a unit, in the last
// kFailureFreshMs.
bool FailsToUpload(const WorkerStatus& worker);
bool FailsToCompute(const WorkerStatus& worker);

// The alerts of a run, in the order of AlertKind, each kind at most once.
std::vector<Alert> FindAlerts(const RunStatus& status, const AlertSettings& settings);

// That whoever watches could not read the run: `why` is the store's error.
Alert StoreUnreachable(std::string_view why, int64_t since_ms);

}  // namespace thresher

#endif  // THRESHER_MONITOR_ALERTS_H_
