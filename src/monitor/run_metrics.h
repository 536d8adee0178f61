#ifndef THRESHER_MONITOR_RUN_METRICS_H_
#define THRESHER_MONITOR_RUN_METRICS_H_

#include <optional>
#include <span>
#include <string>

#include "monitor/alerts.h"
#include "monitor/run_status.h"

namespace thresher {

// A run as Prometheus metrics, for those whose workers cannot be scraped; docs/monitoring.md lists
// them. `status` may be null: the run could not be read yet. Per-worker metrics are of sessions
// that are alive, at most kMostWorkerSeries.
std::string RunMetrics(const std::string& run, const RunStatus* status,
                       std::span<const Alert> alerts, const AlertSettings& settings,
                       bool is_reachable);

inline constexpr size_t kMostWorkerSeries = 2'000;

}  // namespace thresher

#endif  // THRESHER_MONITOR_RUN_METRICS_H_
