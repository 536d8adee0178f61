#include "monitor/worker_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace thresher {
namespace {

using testing::HasSubstr;

TEST(WorkerMetricsTest, CountersAndSecondsOfOneWorker) {
  Progress progress;
  progress.units_committed = 3;
  progress.engine_busy_us = 2'500'000;
  progress.run_units_finished = 7;
  progress.Hold(8);
  const std::string text = WorkerMetrics(progress, 12, {{"worker", "3"}, {"session", "5e55"}});
  const std::string labels = R"({worker="3",session="5e55"} )";
  EXPECT_THAT(text, HasSubstr("# TYPE thresher_process_units_committed_total counter\n"
                              "thresher_process_units_committed_total" +
                              labels + "3\n"));
  EXPECT_THAT(text, HasSubstr("thresher_process_engine_seconds_total" + labels + "2.5\n"));
  EXPECT_THAT(text, HasSubstr("thresher_process_units_held" + labels + "1\n"));
  EXPECT_THAT(text, HasSubstr("thresher_process_run_units" + labels + "12\n"));
  EXPECT_THAT(text, HasSubstr("thresher_process_run_units_finished" + labels + "7\n"));
}

}  // namespace
}  // namespace thresher
