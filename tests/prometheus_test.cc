// Prometheus itself scrapes the dashboard of a run that goes on: every query of the Grafana board
// has an answer with the labels that its legend names, and every alert rule can be evaluated.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "base/http_request.h"
#include "base/temporary_folder_for_test.h"
#include "chaos.h"
#include "dashboard_process.h"
#include "extraction.h"
#include "files.h"
#include "servers.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

constexpr const char* kPrometheus = "/usr/bin/prometheus";

std::string UrlEncode(const std::string& text) {
  std::string encoded;
  for (const unsigned char byte : text) encoded += fmt::format("%{:02X}", byte);
  return encoded;
}

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

class PrometheusTest : public testing::Test {
 protected:
  void SetUp() override {
    if (RunProcess({.arguments = {"/usr/bin/test", "-x", kPrometheus}}).exit_status != 0) {
      GTEST_SKIP() << kPrometheus
                   << " is missing: scripts/install_dependencies.sh --ci installs it";
    }
    const std::string samples = folder_.PathOf("samples.jsonl");
    WriteSamples(samples, {.count = 300'000, .shortest = 2, .longest = 2});
    Command worker = Extraction{.model = GoldenModel("qwen2"),
                                .dataset = samples,
                                .output = folder_.PathOf("run"),
                                .flags = {"--batch-tokens", "2", "--shard-bytes", "300KB"}}
                         .ToCommand();
    worker.ends_with_parent = true;
    worker_.emplace(worker);
    ASSERT_TRUE(WaitUntil([&] {
      PassMilliseconds(50);
      return FilesBelow(folder_.PathOf("run/commits")).size() >= 2;
    }));
    dashboard_.emplace(Thresher({"dashboard", folder_.PathOf("run"), "--listen", "127.0.0.1:0",
                                 "--interval", "500ms"}),
                       folder_.PathOf("dashboard.log"));
    StartPrometheus();
  }

  void StartPrometheus() {
    const std::string target = std::regex_replace(dashboard_->url(), std::regex("http://|/"), "");
    folder_.Write("prometheus.yml",
                  fmt::format(R"(global:
  scrape_interval: 500ms
  evaluation_interval: 500ms
rule_files: ["{}"]
scrape_configs:
  - job_name: thresher
    static_configs:
      - targets: ["{}"]
)",
                              SourcePath("deploy/monitoring/alerts.yml"), target));
    const std::string address = fmt::format("127.0.0.1:{}", FreePort());
    url_ = "http://" + address + "/api/v1/";
    prometheus_.emplace(
        Command{.arguments = {kPrometheus, "--config.file=" + folder_.PathOf("prometheus.yml"),
                              "--storage.tsdb.path=" + folder_.PathOf("series"),
                              "--web.listen-address=" + address},
                .log_file = folder_.PathOf("prometheus.log"),
                .ends_with_parent = true});
  }

  // "data" of the answer; null, with a failed check, if Prometheus finds a mistake in the request.
  Json Ask(const std::string& request) const {
    const Result<HttpResponse> answer =
        SendHttpRequest({.url = url_ + request, .timeout_ms = 20'000, .max_body_bytes = 8 << 20});
    if (!answer.ok() || answer->status == 503) return nullptr;  // it has not started yet
    const Json json = Json::parse(answer->body, nullptr, false);
    EXPECT_EQ(answer->status, 200) << request << "\n" << answer->body;
    return json.is_object() && json.contains("data") ? json["data"] : nullptr;
  }

  // What the query gives, once it gives anything.
  Json WaitForSeries(const std::string& query) const {
    Json series;
    EXPECT_TRUE(WaitUntil(
        [&] {
          PassMilliseconds(50);
          const Json data = Ask("query?query=" + UrlEncode(query));
          series = data.is_object() ? data["result"] : Json::array();
          return !series.empty() || HasFailure();
        },
        kSeenWithinMs))
        << query << " gives nothing\n"
        << ReadFile(folder_.PathOf("prometheus.log"));
    return series;
  }

  TemporaryFolder folder_;
  std::string url_;
  std::optional<Process> worker_;
  std::optional<DashboardProcess> dashboard_;
  std::optional<Process> prometheus_;
};

TEST_F(PrometheusTest, EveryQueryOfTheBoardHasAnAnswer) {
  const Json board = Json::parse(ReadFile(SourcePath("deploy/monitoring/grafana.json")));
  // The board's variable, as Grafana fills it.
  const Json units = WaitForSeries("thresher_run_units");
  ASSERT_FALSE(units.empty());
  const std::string run = units[0]["metric"]["run"];
  EXPECT_THAT(Ask("label/run/values?match[]=thresher_run_units"), testing::Contains(run));

  int queries = 0;
  for (const Json& panel : board["panels"]) {
    for (const Json& target : panel["targets"]) {
      ++queries;
      const std::string query =
          Replace(target["expr"].get<std::string>(), "$run", Replace(run, ".", "\\\\."));
      const std::string legend = target["legendFormat"];
      const std::regex label("\\{\\{(\\w+)\\}\\}");
      for (const Json& series : WaitForSeries(query)) {
        for (std::sregex_iterator name(legend.begin(), legend.end(), label), end; name != end;
             ++name) {
          EXPECT_TRUE(series["metric"].contains((*name)[1].str()))
              << panel["title"] << ": " << legend << " of " << series["metric"];
        }
      }
    }
  }
  EXPECT_GE(queries, 15);

  // Only there while an alert fires: it must be a query.
  for (const Json& annotation : board["annotations"]["list"]) {
    EXPECT_TRUE(Ask("query?query=" + UrlEncode(annotation["expr"])).is_object());
  }

  int rules = 0;
  const Json groups = Ask("rules");
  for (const Json& group : groups["groups"]) {
    for (const Json& rule : group["rules"]) {
      ++rules;
      EXPECT_NE(rule["health"], "err") << rule;
    }
  }
  EXPECT_GE(rules, 8);
  EXPECT_FALSE(worker_->HasEnded()) << "the run was over before all was asked";
}

}  // namespace
}  // namespace thresher
