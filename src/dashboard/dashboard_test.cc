#include "dashboard/dashboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/temporary_folder_for_test.h"
#include "dashboard/run_list.h"
#include "dashboard/view_json.h"
#include "monitor/run_for_test.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using Json = nlohmann::json;

// A run of `units` units with one sample each and nothing done.
void MakeRun(Store& store, int64_t units) { BeginRunForTest(store, units, 1); }

void CommitUnit(Store& store, int64_t unit) {
  Commit commit;
  commit.unit = unit;
  commit.epoch = 1;
  commit.sample_count = 1;
  commit.sequence_count = 1;
  commit.token_count = 4;
  commit.forward_token_count = 10;
  commit.bytes = 5000;
  ASSERT_TRUE(store.Put(CommitKey(unit), AsBytes(commit.ToText())).ok());
}

TEST(FindRunsTest, FindsTheFoldersThatHoldARun) {
  MemoryStore store;
  for (const char* key :
       {"a/run.json", "a/commits/x", "b/other", "c/run.json", "top", "d/e/run.json"}) {
    ASSERT_TRUE(store.Put(key, AsBytes("x")).ok());
  }
  const auto runs = FindRuns(store);
  ASSERT_TRUE(runs.ok());
  ASSERT_THAT(*runs, SizeIs(2));
  EXPECT_EQ((*runs)[0].name, "a");
  EXPECT_EQ((*runs)[1].name, "c");
  ASSERT_TRUE(store.Put("run.json", AsBytes("x")).ok());
  const auto own = FindRuns(store);
  ASSERT_TRUE(own.ok());
  ASSERT_THAT(*own, SizeIs(1));
  EXPECT_EQ((*own)[0].name, "");
}

TEST(UnitMapTest, CellsHoldCountsByState) {
  RunStatus status;
  status.units = {UnitCondition::kCommitted, UnitCondition::kOpen, UnitCondition::kHeld,
                  UnitCondition::kWaiting, UnitCondition::kQuarantined};
  EXPECT_EQ(UnitMapJson(status, 5)["states"], "30124");
  const Json map = UnitMapJson(status, 3);
  EXPECT_EQ(map["units_per_cell"], 2);
  EXPECT_EQ(map["cells"], Json::parse("[[1,0,0,1,0],[0,1,1,0,0],[0,0,0,0,1]]"));
}

// A dashboard over runs in a local folder.
class DashboardTest : public testing::Test {
 protected:
  DashboardTest()
      : dashboard_([this](const std::string& name) { return Open(name); }, Clock::Real(),
                   QuickOptions()) {}

  static Dashboard::Options QuickOptions() {
    Dashboard::Options options;
    options.watcher.interval_ms = 20;
    return options;
  }

  Result<std::unique_ptr<Store>> Open(const std::string& name) {
    return OpenStore(folder_.path() + (name.empty() ? "" : "/" + name));
  }

  Json Get(const std::string& path, std::map<std::string, std::string> query = {},
           int status = 200) {
    const WebAnswer answer = dashboard_.Answer({path, std::move(query)});
    EXPECT_EQ(answer.status, status) << answer.body;
    return Json::parse(answer.body);
  }

  TemporaryFolder folder_;
  Dashboard dashboard_;
};

TEST_F(DashboardTest, ShowsOneRun) {
  auto store = Open("");
  ASSERT_TRUE(store.ok());
  MakeRun(**store, 3);
  CommitUnit(**store, 1);
  EXPECT_EQ(Get("/api/runs")["runs"][0]["name"], "");
  const Json run = Get("/api/run");
  EXPECT_EQ(run["state"], "incomplete");
  EXPECT_EQ(run["units_committed"], 1);
  EXPECT_EQ(run["map"]["states"], "030");
  EXPECT_EQ(run["alerts"][0]["name"], "ThresherNoWorkers");
  EXPECT_EQ(Get("/api/units", {{"cells", "1"}})["cells"], Json::parse("[[2,0,0,1,0]]"));
  EXPECT_THAT(Get("/api/events")["events"][0]["text"].get<std::string>(),
              HasSubstr("watching began"));
  EXPECT_EQ(Get("/api/events", {{"after", "100"}})["events"], Json::array());
  const WebAnswer metrics = dashboard_.Answer({"/metrics", {}});
  EXPECT_THAT(metrics.body, HasSubstr("} 1\n"));
}

TEST_F(DashboardTest, ListsSeveralRunsAndShowsEach) {
  for (const char* name : {"one", "two"}) {
    auto store = Open(name);
    ASSERT_TRUE(store.ok());
    MakeRun(**store, 2);
  }
  const Json runs = Get("/api/runs")["runs"];
  ASSERT_THAT(runs, SizeIs(2));
  EXPECT_EQ(runs[1]["name"], "two");
  EXPECT_THAT(Get("/api/run", {{"run", "two"}})["url"].get<std::string>(), HasSubstr("/two"));
}

TEST_F(DashboardTest, NamesThatLeadElsewhereAreNoRuns) {
  for (const char* name : {"..", "../x", "a/../../x", "/etc"}) {
    Get("/api/run", {{"run", name}}, 404);
  }
}

TEST_F(DashboardTest, WhatIsNotThereIsSaid) {
  EXPECT_EQ(Get("/api/nothing", {}, 404)["error"], "there is no /api/nothing");
  EXPECT_EQ(Get("/api/runs")["runs"], Json::array());
  EXPECT_EQ(dashboard_.Answer({"/metrics", {}}).status, 404);
  EXPECT_THAT(Get("/api/run", {}, 404)["error"].get<std::string>(), HasSubstr("run.json"));
}

TEST_F(DashboardTest, TheStreamSendsANewViewWhenSomethingHappened) {
  auto store = Open("");
  ASSERT_TRUE(store.ok());
  MakeRun(**store, 2);
  const WebAnswer answer = dashboard_.Answer({"/api/stream", {}});
  ASSERT_TRUE(answer.stream);
  const auto next = [&] {
    for (int i = 0; i < 100; ++i) {
      std::string text;
      EXPECT_TRUE(answer.stream(text));
      constexpr std::string_view kBegin = "event: run\ndata: ";
      if (text.starts_with(kBegin)) return Json::parse(text.substr(kBegin.size()));
    }
    return Json();
  };
  EXPECT_EQ(next()["units_committed"], 0);
  CommitUnit(**store, 0);
  Json run = next();
  for (int i = 0; i < 100 && run["units_committed"] == 0; ++i) run = next();
  EXPECT_EQ(run["units_committed"], 1);
}

TEST_F(DashboardTest, ThePageMayLoadNothingFromElsewhere) {
  const WebAnswer page = dashboard_.Answer({"/", {}});
  EXPECT_EQ(page.status, 200);
  ASSERT_EQ(page.headers[0].first, "Content-Security-Policy");
  EXPECT_THAT(page.headers[0].second, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page.headers[0].second, Not(HasSubstr("unsafe")));
  for (const char* path : {"/", "/dashboard.css", "/dashboard.js", "/charts.js"}) {
    const std::string text = dashboard_.Answer({path, {}}).body;
    EXPECT_THAT(text, Not(HasSubstr("//cdn")));
    EXPECT_THAT(text, Not(HasSubstr("https://"))) << path;
    EXPECT_THAT(text, Not(HasSubstr("innerHTML"))) << path;
  }
}

TEST(EventLogTest, TellsWhatHasChanged) {
  EventLog log;
  RunStatus status;
  status.state = RunState::kRunning;
  status.unit_count = 4;
  WorkerStatus worker;
  worker.heartbeat.worker_id = 1;
  worker.heartbeat.session = "s";
  worker.state = WorkerState::kRunning;
  status.workers = {worker};
  log.Observe(status, {}, 1);
  EXPECT_THAT(log.events(), SizeIs(1));
  log.Observe(status, {}, 2);
  EXPECT_THAT(log.events(), SizeIs(1));
  status.workers[0].state = WorkerState::kSilent;
  status.quarantined.push_back({.unit = 2, .errors = {"bad"}});
  status.taken_over_count = 1;
  log.Observe(status, {{AlertKind::kWorkerStuck, "text"}}, 3);
  std::vector<std::string> texts;
  for (const RunEvent& event : log.events()) texts.push_back(event.text);
  EXPECT_THAT(texts, ElementsAre(HasSubstr("watching began"), "worker 1, session s: silent",
                                 "unit 2 was set aside: bad", "1 units were taken over",
                                 "ThresherWorkerStuck: text"));
  log.Observe(status, {}, 4);
  EXPECT_EQ(log.events().back().text, "ThresherWorkerStuck is over");
  EXPECT_EQ(log.events().back().number, 6);
}

}  // namespace
}  // namespace thresher
