#include "monitor/run_metrics.h"

#include <algorithm>
#include <vector>

#include "monitor/prometheus_text.h"

namespace thresher {
namespace {

constexpr double kMillisecondsPerSecond = 1000;

double Seconds(int64_t ms) { return static_cast<double>(ms) / kMillisecondsPerSecond; }

class MetricsWriter {
 public:
  explicit MetricsWriter(const std::string& run) : text_(MetricLabels{{"run", run}}) {}

  void Gauge(const char* name, double value, const char* help) {
    text_.Family(name, MetricType::kGauge, help);
    text_.Add(value);
  }
  void Counter(const char* name, double value, const char* help) {
    text_.Family(name, MetricType::kCounter, help);
    text_.Add(value);
  }
  void Gauge(const char* name, int64_t value, const char* help) {
    Gauge(name, static_cast<double>(value), help);
  }
  void Counter(const char* name, int64_t value, const char* help) {
    Counter(name, static_cast<double>(value), help);
  }

  PrometheusText& text() { return text_; }

 private:
  PrometheusText text_;
};

void WriteProgress(const RunStatus& status, MetricsWriter& out) {
  out.Gauge("thresher_run_units", status.unit_count, "Units of the run.");
  out.text().Family("thresher_units", MetricType::kGauge, "Units by state.");
  for (size_t i = 0; i < kUnitConditions; ++i) {
    out.text().Add(static_cast<double>(status.unit_counts[i]),
                   {{"state", std::string(UnitConditionName(static_cast<UnitCondition>(i)))}});
  }
  out.Gauge("thresher_units_committed", status.committed_count, "Units that are committed.");
  out.Gauge("thresher_units_quarantined", status.quarantined_count,
            "Units that failed too often and were set aside.");
  out.Gauge("thresher_run_samples", status.sample_count, "Samples of the run.");
  out.Gauge("thresher_samples_stored", status.samples_stored, "Samples of committed units.");
  out.Gauge("thresher_samples_rejected", status.samples_rejected,
            "Samples of committed units that could not be used.");
  out.Counter("thresher_tokens_total", status.forward_tokens,
              "Tokens that the model read for what is committed.");
  out.Counter("thresher_stored_tokens_total", status.tokens, "Tokens whose rows are committed.");
  out.Counter("thresher_stored_bytes_total", status.bytes, "Bytes of committed shards.");
  out.Counter("thresher_leases_taken_over_total", status.taken_over_count,
              "Units that were claimed more than once.");
  out.Counter("thresher_duplicates_total", status.duplicates,
              "Shards that were thrown away, since another worker was faster.");
  out.Counter("thresher_failed_attempts_total", status.failed_attempts,
              "Claims that ended as failed.");
  out.Counter("thresher_machine_seconds_total", 3600 * status.machine_hours,
              "Time that all sessions have been there.");
}

void WriteSpeed(const RunStatus& status, const AlertSettings& settings, MetricsWriter& out) {
  out.Gauge("thresher_run_finished", status.IsFinished() ? 1.0 : 0.0,
            "1 if every unit is committed or set aside.");
  out.Gauge("thresher_run_age_seconds",
            Seconds((status.ended_ms > 0 ? status.ended_ms : status.now_ms) - status.started_ms),
            "Since the run began; until its end.");
  out.Gauge("thresher_run_seconds_since_last_unit",
            status.IsFinished() ? 0.0 : Seconds(status.now_ms - status.last_finished_ms),
            "Since a unit was finished last; 0 once the run is.");
  out.Gauge("thresher_run_tokens_per_second", status.tokens_per_second,
            "Tokens that running workers compute, over the last minute.");
  out.Gauge("thresher_run_mean_tokens_per_second", status.overall_tokens_per_second,
            "Tokens computed for what is committed, over the age of the run.");
  out.Gauge("thresher_run_upload_bytes_per_second", status.bytes_per_second,
            "Bytes of shards that running workers upload, over the last five minutes.");
  if (status.remaining_ms) {
    out.Gauge("thresher_run_remaining_seconds", Seconds(*status.remaining_ms),
              "Until the end, at the speed of now.");
  }
  if (settings.deadline_unix_ms) {
    out.Gauge("thresher_run_deadline_timestamp_seconds", Seconds(*settings.deadline_unix_ms),
              "When the run should be finished (--deadline).");
  }
}

struct WorkerFamily {
  const char* name;
  MetricType type;
  const char* help;
  double (*value)(const WorkerStatus& worker);
};
constexpr WorkerFamily kWorkerFamilies[] = {
    {"thresher_worker_heartbeat_age_seconds", MetricType::kGauge, "Since the last heartbeat.",
     [](const WorkerStatus& worker) { return Seconds(worker.age_ms); }},
    {"thresher_worker_stalled_seconds", MetricType::kGauge,
     "How long it has held units and computed nothing.",
     [](const WorkerStatus& worker) { return Seconds(worker.stalled_ms); }},
    {"thresher_worker_tokens_per_second", MetricType::kGauge,
     "Tokens computed, over the last minute.",
     [](const WorkerStatus& worker) { return worker.heartbeat.recent_tokens_per_second; }},
    {"thresher_worker_upload_bytes_per_second", MetricType::kGauge,
     "Bytes of shards uploaded, over the last five minutes.",
     [](const WorkerStatus& worker) { return worker.heartbeat.recent_bytes_per_second; }},
    {"thresher_worker_tokens_total", MetricType::kCounter, "Tokens that the model read.",
     [](const WorkerStatus& worker) {
       return static_cast<double>(worker.heartbeat.tokens_computed);
     }},
    {"thresher_worker_uploaded_bytes_total", MetricType::kCounter, "Bytes of shards uploaded.",
     [](const WorkerStatus& worker) {
       return static_cast<double>(worker.heartbeat.bytes_uploaded);
     }},
    {"thresher_worker_upload_failures_total", MetricType::kCounter,
     "Uploads that failed for good: the unit stayed open.",
     [](const WorkerStatus& worker) {
       return static_cast<double>(worker.heartbeat.uploads_failed);
     }},
    {"thresher_worker_units_failed_total", MetricType::kCounter, "Units that failed.",
     [](const WorkerStatus& worker) { return static_cast<double>(worker.heartbeat.units_failed); }},
    {"thresher_worker_restarts", MetricType::kGauge, "Earlier sessions with the same worker id.",
     [](const WorkerStatus& worker) { return static_cast<double>(worker.restarts); }},
};

void WriteWorkers(const RunStatus& status, MetricsWriter& out) {
  out.text().Family("thresher_workers", MetricType::kGauge, "Sessions of workers by state.");
  for (size_t i = 0; i < status.worker_counts.size(); ++i) {
    out.text().Add(static_cast<double>(status.worker_counts[i]),
                   {{"state", std::string(WorkerStateName(static_cast<WorkerState>(i)))}});
  }
  out.Gauge("thresher_workers_failing_to_upload",
            static_cast<double>(
                std::count_if(status.workers.begin(), status.workers.end(), FailsToUpload)),
            "Workers that could not upload a shard in the last five minutes.");
  out.Gauge("thresher_workers_failing_to_compute",
            static_cast<double>(
                std::count_if(status.workers.begin(), status.workers.end(), FailsToCompute)),
            "Workers that could not compute a unit in the last five minutes.");
  std::vector<const WorkerStatus*> shown;
  for (const WorkerStatus& worker : status.workers) {
    if (worker.is_alive() && shown.size() < kMostWorkerSeries) shown.push_back(&worker);
  }
  for (const WorkerFamily& family : kWorkerFamilies) {
    out.text().Family(family.name, family.type, family.help);
    for (const WorkerStatus* worker : shown) {
      out.text().Add(family.value(*worker),
                     {{"worker", std::to_string(worker->heartbeat.worker_id)},
                      {"session", worker->heartbeat.session}});
    }
  }
}

}  // namespace

std::string RunMetrics(const std::string& run, const RunStatus* status,
                       std::span<const Alert> alerts, const AlertSettings& settings,
                       bool is_reachable) {
  MetricsWriter out(run);
  out.Gauge("thresher_store_reachable", is_reachable ? 1.0 : 0.0,
            "1 if the run could be read at the last look.");
  out.text().Family("thresher_alert", MetricType::kGauge,
                    "1 if the dashboard itself raises this alert.");
  for (size_t i = 0; i < kAlertKinds; ++i) {
    const auto kind = static_cast<AlertKind>(i);
    const bool is_raised = std::any_of(alerts.begin(), alerts.end(),
                                       [&](const Alert& alert) { return alert.kind == kind; });
    out.text().Add(is_raised ? 1 : 0, {{"name", std::string(AlertName(kind))}});
  }
  if (status != nullptr) {
    WriteProgress(*status, out);
    WriteSpeed(*status, settings, out);
    WriteWorkers(*status, out);
  }
  return out.text().text();
}

}  // namespace thresher
