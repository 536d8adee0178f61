#ifndef THRESHER_MONITOR_PROMETHEUS_TEXT_H_
#define THRESHER_MONITOR_PROMETHEUS_TEXT_H_

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace thresher {

// The content type of what PrometheusText makes.
inline constexpr std::string_view kPrometheusContentType =
    "text/plain; version=0.0.4; charset=utf-8";

enum class MetricType { kCounter, kGauge };

using MetricLabels = std::vector<std::pair<std::string, std::string>>;  // name, value

// Metrics in Prometheus' text format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Not thread-safe.
//
//   PrometheusText metrics(MetricLabels{{"run", "gs://bucket/run7"}});
//   metrics.Family("thresher_units_committed", MetricType::kGauge, "Units that are committed.");
//   metrics.Add(12);
//   metrics.Family("thresher_worker_tokens_per_second", MetricType::kGauge, "...");
//   metrics.Add(830.5, {{"worker", "3"}});
//   return metrics.text();
class PrometheusText {
 public:
  // `common`: labels that every sample gets, before its own.
  explicit PrometheusText(MetricLabels common = {}) : common_(std::move(common)) {}

  // Begins a family: the samples that are added next are of this metric. Names are checked:
  // letters, digits and '_'; a counter's name ends with "_total"; no family twice. A family without
  // a sample is left out.
  void Family(std::string_view name, MetricType type, std::string_view help);

  // One sample of the family that was begun last.
  void Add(double value, const MetricLabels& labels = {});

  const std::string& text() const { return text_; }

 private:
  MetricLabels common_;
  std::string name_;
  std::string heading_;  // of the family, until its first sample
  std::set<std::string, std::less<>> names_;
  std::string text_;
};

}  // namespace thresher

#endif  // THRESHER_MONITOR_PROMETHEUS_TEXT_H_
