#include "monitor/alerts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "monitor/run_metrics.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Half done, one worker at work.
RunStatus Healthy() {
  RunStatus status;
  status.url = "gs://bucket/run";
  status.state = RunState::kRunning;
  status.unit_count = 10;
  status.committed_count = 5;
  status.started_ms = 0;
  status.now_ms = 10'000'000;
  status.last_finished_ms = 9'990'000;
  status.tokens_per_second = 90;
  status.overall_tokens_per_second = 100;
  status.remaining_ms = 10'000'000;
  WorkerStatus worker;
  worker.heartbeat.worker_id = 3;
  worker.heartbeat.host = "a";
  worker.heartbeat.updated_unix_ms = 1'000'000;
  worker.state = WorkerState::kRunning;
  status.workers = {worker};
  status.worker_counts[static_cast<size_t>(WorkerState::kRunning)] = 1;
  return status;
}

std::vector<AlertKind> KindsOf(const RunStatus& status, const AlertSettings& settings = {}) {
  std::vector<AlertKind> kinds;
  for (const Alert& alert : FindAlerts(status, settings)) kinds.push_back(alert.kind);
  return kinds;
}

TEST(AlertsTest, ARunThatIsWellRaisesNothing) {
  EXPECT_THAT(KindsOf(Healthy()), IsEmpty());
  EXPECT_THAT(KindsOf(Healthy(), {.deadline_unix_ms = 20'000'000}), IsEmpty());
}

TEST(AlertsTest, AWorkerWithoutHeartbeatsIsStuckAndThenLost) {
  RunStatus status = Healthy();
  status.workers[0].state = WorkerState::kSilent;
  EXPECT_THAT(KindsOf(status), ElementsAre(AlertKind::kWorkerStuck));
  EXPECT_THAT(FindAlerts(status, {})[0].text, HasSubstr("worker 3 (a, process 0)"));
  status.workers[0].state = WorkerState::kLost;
  EXPECT_THAT(KindsOf(status), ElementsAre(AlertKind::kWorkerLost));
  status.workers[0].state = WorkerState::kReplaced;
  EXPECT_THAT(KindsOf(status), IsEmpty());
}

TEST(AlertsTest, AWorkerThatComputesNothingIsStuck) {
  RunStatus status = Healthy();
  status.workers[0].stalled_ms = 600'000;
  EXPECT_THAT(KindsOf(status), IsEmpty());
  status.workers[0].stalled_ms = 600'001;
  EXPECT_THAT(KindsOf(status), ElementsAre(AlertKind::kWorkerStuck));
}

TEST(AlertsTest, ARunWithoutProgressIsStuck) {
  RunStatus status = Healthy();
  status.last_finished_ms = status.now_ms - 600'001;
  EXPECT_THAT(KindsOf(status), ElementsAre(AlertKind::kRunStuck));
  EXPECT_THAT(KindsOf(status, {.stuck_after_ms = 600'001}), IsEmpty());
  status.state = RunState::kComplete;
  EXPECT_THAT(KindsOf(status), IsEmpty());
}

TEST(AlertsTest, MissingUnitsWithoutWorkersAreCritical) {
  RunStatus status = Healthy();
  status.state = RunState::kIncomplete;
  EXPECT_THAT(KindsOf(status), ElementsAre(AlertKind::kNoWorkers));
  EXPECT_EQ(SeverityOf(AlertKind::kNoWorkers), AlertSeverity::kCritical);
}

TEST(AlertsTest, HalfOfTheMeanIsFallingButNotAtTheBeginning) {
  RunStatus status = Healthy();
  status.tokens_per_second = 49;
  EXPECT_THAT(KindsOf(status), ElementsAre(AlertKind::kThroughputFalling));
  status.started_ms = status.now_ms - kSteadyAfterMs;
  EXPECT_THAT(KindsOf(status), IsEmpty());
}

TEST(AlertsTest, UploadsThatFailAreSaidForFiveMinutes) {
  RunStatus status = Healthy();
  status.workers[0].heartbeat.upload_failed_unix_ms = 1'000'000 - 299'999;
  EXPECT_THAT(KindsOf(status), ElementsAre(AlertKind::kUploadsFailing));
  status.workers[0].heartbeat.upload_failed_unix_ms = 1'000'000 - 300'000;
  EXPECT_THAT(KindsOf(status), IsEmpty());
}

TEST(AlertsTest, UnitsThatFailAreSaidForFiveMinutesWithTheReason) {
  RunStatus status = Healthy();
  status.workers[0].heartbeat.unit_failed_unix_ms = 1'000'000 - 299'999;
  status.workers[0].heartbeat.last_error = "the engine is out of memory";
  EXPECT_THAT(KindsOf(status), ElementsAre(AlertKind::kUnitsFailing));
  EXPECT_THAT(FindAlerts(status, {})[0].text,
              HasSubstr("worker 3 (a, process 0) could not compute a unit"));
  EXPECT_THAT(FindAlerts(status, {})[0].text, HasSubstr("out of memory"));
  status.workers[0].heartbeat.unit_failed_unix_ms = 1'000'000 - 300'000;
  EXPECT_THAT(KindsOf(status), IsEmpty());
}

TEST(AlertsTest, QuarantineAndDeadline) {
  RunStatus status = Healthy();
  status.quarantined_count = 2;
  EXPECT_THAT(KindsOf(status, {.deadline_unix_ms = 19'999'999}),
              ElementsAre(AlertKind::kUnitsQuarantined, AlertKind::kDeadlineMissed));
}

TEST(AlertsTest, EveryKindHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kAlertKinds; ++i) names.insert(AlertName(static_cast<AlertKind>(i)));
  EXPECT_EQ(names.size(), kAlertKinds);
  EXPECT_FALSE(names.contains(""));
}

TEST(RunMetricsTest, SaysWhatTheStatusSays) {
  RunStatus status = Healthy();
  status.forward_tokens = 12'345;
  const std::string text = RunMetrics("r", &status, FindAlerts(status, {}), {}, true);
  EXPECT_THAT(text, HasSubstr("\nthresher_units_committed{run=\"r\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("\nthresher_tokens_total{run=\"r\"} 12345\n"));
  EXPECT_THAT(text, HasSubstr("\nthresher_workers{run=\"r\",state=\"running\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nthresher_run_remaining_seconds{run=\"r\"} 10000\n"));
  EXPECT_THAT(text, HasSubstr("{run=\"r\",worker=\"3\",session=\"\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("thresher_alert{run=\"r\",name=\"ThresherWorkerStuck\"} 0\n"));
}

TEST(RunMetricsTest, WithoutAStatusOnlyTheStoreIsSaid) {
  const std::vector<Alert> alerts = {StoreUnreachable("down", 5'000)};
  const std::string text = RunMetrics("r", nullptr, alerts, {}, false);
  EXPECT_THAT(text, HasSubstr("\nthresher_store_reachable{run=\"r\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("thresher_alert{run=\"r\",name=\"ThresherStoreUnreachable\"} 1\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("thresher_units")));
}

}  // namespace
}  // namespace thresher
