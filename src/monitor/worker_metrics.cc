#include "monitor/worker_metrics.h"

#include <atomic>

namespace thresher {
namespace {

using Count = std::atomic<int64_t> Progress::*;

struct CountMetric {
  const char* name;
  const char* help;
  Count value;
};

constexpr CountMetric kCounters[] = {
    {"thresher_process_units_committed_total", "Units whose shard this worker committed.",
     &Progress::units_committed},
    {"thresher_process_units_duplicate_total",
     "Units whose shard was thrown away because another worker was faster.",
     &Progress::units_duplicate},
    {"thresher_process_units_failed_total", "Units that this worker gave back with an error.",
     &Progress::units_failed},
    {"thresher_process_units_handed_over_total", "Units handed over half done at a stop.",
     &Progress::units_handed_over},
    {"thresher_process_units_taken_over_total",
     "Units claimed after somebody else had claimed them.", &Progress::units_taken_over},
    {"thresher_process_samples_committed_total",
     "Samples of committed units, rejected ones included.", &Progress::samples_committed},
    {"thresher_process_samples_rejected_total", "Samples that could not be used.",
     &Progress::samples_rejected},
    {"thresher_process_samples_truncated_total", "Samples that were cut.",
     &Progress::samples_truncated},
    {"thresher_process_tokens_committed_total", "Tokens whose rows are stored.",
     &Progress::tokens_committed},
    {"thresher_process_bytes_committed_total", "Bytes of committed shards.",
     &Progress::bytes_committed},
    {"thresher_process_tokens_computed_total", "Tokens that the engine read.",
     &Progress::tokens_computed},
    {"thresher_process_rows_computed_total", "Tokens whose rows the engine wrote.",
     &Progress::rows_computed},
    {"thresher_process_bytes_uploaded_total", "Bytes of uploaded shards, duplicates included.",
     &Progress::bytes_uploaded},
    {"thresher_process_uploads_failed_total",
     "Uploads that failed for good, after all retries; the unit stays open.",
     &Progress::uploads_failed},
};

constexpr CountMetric kSeconds[] = {
    {"thresher_process_engine_seconds_total", "Time in forward passes.", &Progress::engine_busy_us},
    {"thresher_process_wait_for_unit_seconds_total", "Time in which the engine had nothing to do.",
     &Progress::engine_wait_for_unit_us},
    {"thresher_process_wait_for_arena_seconds_total",
     "Time in which the engine waited for uploads.", &Progress::engine_wait_for_arena_us},
    {"thresher_process_upload_seconds_total", "Time in uploads, retries included.",
     &Progress::upload_us},
};

}  // namespace

std::string WorkerMetrics(const Progress& progress, int64_t unit_count,
                          const MetricLabels& labels) {
  PrometheusText metrics(labels);
  for (const CountMetric& metric : kCounters) {
    metrics.Family(metric.name, MetricType::kCounter, metric.help);
    metrics.Add(static_cast<double>((progress.*metric.value).load()));
  }
  for (const CountMetric& metric : kSeconds) {
    metrics.Family(metric.name, MetricType::kCounter, metric.help);
    metrics.Add(static_cast<double>((progress.*metric.value).load()) / 1e6);
  }
  metrics.Family("thresher_process_units_held", MetricType::kGauge, "Units in hand.");
  metrics.Add(static_cast<double>(progress.UnitsHeld().size()));
  metrics.Family("thresher_process_run_units", MetricType::kGauge, "Units of the whole run.");
  metrics.Add(static_cast<double>(unit_count));
  metrics.Family("thresher_process_run_units_finished", MetricType::kGauge,
                 "Units of the whole run that are committed or set aside, as last seen.");
  metrics.Add(static_cast<double>(progress.run_units_finished.load()));
  return metrics.text();
}

}  // namespace thresher
