// deploy/monitoring/: alert rules and the Grafana board name metrics and alerts that there are.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "base/temporary_folder_for_test.h"
#include "files.h"
#include "monitor/alerts.h"
#include "monitor/run_metrics.h"
#include "process.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

std::set<std::string> Matches(const std::string& text, const std::string& pattern) {
  std::set<std::string> found;
  const std::regex expression(pattern);
  for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end;
       ++match) {
    found.insert((*match)[1]);
  }
  return found;
}

// Every metric of a run in which everything is known.
std::set<std::string> KnownMetrics() {
  RunStatus status;
  status.unit_count = 1;
  status.remaining_ms = 1;
  WorkerStatus worker;
  worker.state = WorkerState::kRunning;
  status.workers = {worker};
  return Matches(RunMetrics("r", &status, {}, {.deadline_unix_ms = 1}, true), "# TYPE (\\w+) ");
}

std::string MonitoringFile(const std::string& name) {
  return SourcePath("deploy/monitoring/" + name);
}

TEST(MonitoringFilesTest, TheAlertRulesAreThoseOfTheProgram) {
  const std::string rules = ReadFile(MonitoringFile("alerts.yml"));
  std::set<std::string> alerts;
  for (size_t i = 0; i < kAlertKinds; ++i) {
    const auto kind = static_cast<AlertKind>(i);
    alerts.emplace(AlertName(kind));
    const std::string severity(AlertSeverityName(SeverityOf(kind)));
    EXPECT_TRUE(std::regex_search(
        rules, std::regex(std::string(AlertName(kind)) + "\\n[^]*?severity: " + severity)))
        << AlertName(kind);
  }
  EXPECT_EQ(Matches(rules, "alert: (\\w+)"), alerts);
  const std::set<std::string> known = KnownMetrics();
  for (const std::string& metric : Matches(rules, "\\b(thresher_[a-z_]+)")) {
    EXPECT_TRUE(known.contains(metric)) << metric;
  }
}

TEST(MonitoringFilesTest, TheBoardAsksForMetricsThatThereAre) {
  const Json board = Json::parse(ReadFile(MonitoringFile("grafana.json")));
  const std::set<std::string> known = KnownMetrics();
  std::set<int64_t> ids;
  for (const Json& panel : board["panels"]) {
    EXPECT_TRUE(ids.insert(panel["id"].get<int64_t>()).second);
    EXPECT_FALSE(panel["title"].get<std::string>().empty());
    ASSERT_FALSE(panel["targets"].empty());
    for (const Json& target : panel["targets"]) {
      const std::set<std::string> metrics =
          Matches(target["expr"].get<std::string>(), "\\b(thresher_[a-z_]+)");
      EXPECT_FALSE(metrics.empty());
      for (const std::string& metric : metrics) EXPECT_TRUE(known.contains(metric)) << metric;
    }
  }
  EXPECT_GE(ids.size(), 10U);
}

class PromtoolTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Shell("command -v promtool").exit_status != 0) {
      GTEST_SKIP() << "promtool is not installed: it is in Debian's package prometheus";
    }
  }

  static ProcessResult Promtool(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"/usr/bin/env", "promtool"});
    Command command;
    command.arguments = std::move(arguments);
    return RunProcess(command);
  }

  static ProcessResult Shell(const std::string& line) {
    Command command;
    command.arguments = {"/bin/sh", "-c", line};
    return RunProcess(command);
  }
};

TEST_F(PromtoolTest, TheAlertRulesAreWellFormed) {
  const ProcessResult result = Promtool({"check", "rules", MonitoringFile("alerts.yml")});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
}

TEST_F(PromtoolTest, TheAlertRulesFireWhenTheyShould) {
  const ProcessResult result = Promtool({"test", "rules", MonitoringFile("alerts_test.yml")});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
}

TEST_F(PromtoolTest, TheMetricsAreAsPrometheusWantsThem) {
  RunStatus status;
  status.remaining_ms = 1;
  WorkerStatus worker;
  worker.state = WorkerState::kRunning;
  status.workers = {worker};
  TemporaryFolder folder;
  const std::string file = folder.path() + "/metrics";
  WriteFile(file, RunMetrics("a \"run\"", &status, {}, {.deadline_unix_ms = 1}, true));
  const ProcessResult result = Shell("promtool check metrics <" + file);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
}

}  // namespace
}  // namespace thresher
