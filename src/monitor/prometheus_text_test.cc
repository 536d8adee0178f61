#include "monitor/prometheus_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace thresher {
namespace {

TEST(PrometheusTextTest, WritesFamiliesSamplesAndLabels) {
  PrometheusText metrics(MetricLabels{{"run", "a\"b\\c\nd"}});
  metrics.Family("thresher_units_committed", MetricType::kGauge, "Units\nthat are committed.");
  metrics.Add(12);
  metrics.Family("thresher_nothing", MetricType::kGauge, "Left out.");
  metrics.Family("thresher_uploads_total", MetricType::kCounter, "Uploads.");
  metrics.Add(1.5, {{"worker", "3"}});
  metrics.Add(std::numeric_limits<double>::infinity(), {{"worker", "4"}});
  EXPECT_EQ(metrics.text(),
            "# HELP thresher_units_committed Units\\nthat are committed.\n"
            "# TYPE thresher_units_committed gauge\n"
            "thresher_units_committed{run=\"a\\\"b\\\\c\\nd\"} 12\n"
            "# HELP thresher_uploads_total Uploads.\n"
            "# TYPE thresher_uploads_total counter\n"
            "thresher_uploads_total{run=\"a\\\"b\\\\c\\nd\",worker=\"3\"} 1.5\n"
            "thresher_uploads_total{run=\"a\\\"b\\\\c\\nd\",worker=\"4\"} +Inf\n");
}

TEST(PrometheusTextTest, LargeCountsKeepEveryDigit) {
  PrometheusText metrics;
  metrics.Family("thresher_tokens_total", MetricType::kCounter, "Tokens.");
  metrics.Add(9'007'199'254'740'991.0);
  EXPECT_NE(metrics.text().find("\nthresher_tokens_total 9007199254740991\n"), std::string::npos)
      << metrics.text();
}

TEST(PrometheusTextDeathTest, NamesThatPrometheusWouldRefuseAreMistakes) {
  PrometheusText metrics;
  EXPECT_DEATH(metrics.Family("thresher-x", MetricType::kGauge, ""), "");
  EXPECT_DEATH(metrics.Family("thresher_x", MetricType::kCounter, ""), "");
  EXPECT_DEATH(metrics.Add(1), "");
  metrics.Family("thresher_x", MetricType::kGauge, "");
  EXPECT_DEATH(metrics.Family("thresher_x", MetricType::kGauge, ""), "");
}

}  // namespace
}  // namespace thresher
