#ifndef THRESHER_MONITOR_WORKER_METRICS_H_
#define THRESHER_MONITOR_WORKER_METRICS_H_

#include <cstdint>
#include <string>

#include "extract/progress.h"
#include "monitor/prometheus_text.h"

namespace thresher {

// What one worker has done, for Prometheus: thresher_process_*, counted from the start of the
// process. `labels` go to every sample. `unit_count`: of the run. Thread-safe.
std::string WorkerMetrics(const Progress& progress, int64_t unit_count, const MetricLabels& labels);

}  // namespace thresher

#endif  // THRESHER_MONITOR_WORKER_METRICS_H_
