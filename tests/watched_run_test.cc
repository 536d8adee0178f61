// `thresher dashboard` over runs of the real program: what goes wrong in a run is seen within 15 s,
// and raises the alert that belongs to it.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/http_request.h"
#include "base/temporary_folder_for_test.h"
#include "chaos.h"
#include "dashboard_process.h"
#include "extract/run_store.h"
#include "extraction.h"
#include "files.h"
#include "servers.h"
#include "work/keys.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kPoisonTokens = 300'000;

bool HasAlert(const Json& run, const std::string& name) {
  return std::any_of(run["alerts"].begin(), run["alerts"].end(),
                     [&](const Json& alert) { return alert["name"] == name; });
}

// The states of all sessions of a worker.
std::vector<std::string> StatesOf(const Json& run, int worker) {
  std::vector<std::string> states;
  for (const Json& session : run["workers"]) {
    if (session["worker"] == worker) states.push_back(session["state"]);
  }
  return states;
}

bool HasState(const Json& run, int worker, const std::string& state) {
  const std::vector<std::string> states = StatesOf(run, worker);
  return std::find(states.begin(), states.end(), state) != states.end();
}

class WatchedRunTest : public testing::Test {
 protected:
  // A worker that computes much and stores little: the run lasts for as long as the test watches.
  // All units are of one block, so that every worker hears of the others' failures.
  // It has half a gigabyte of addresses, which is plenty but for PoisonSample().
  Command Worker(int id) const {
    Command command = Extraction{
        .model = Model(),
        .dataset = Dataset(),
        .output = Output(),
        .flags = {
            "--worker-id", std::to_string(id), "--num-workers", "8", "--lease-ttl", "8s", "--hooks",
            "resid_post", "--layers", "2", "--tokens", "every:32", "--shard-bytes", "300KB",
            "--max-tokens", std::to_string(kPoisonTokens),
            "--quiet"}}.ToCommand();
    command.arguments.insert(command.arguments.begin(), {"/usr/bin/prlimit", "--as=500000000"});
    command.ends_with_parent = true;
    return command;
  }

  // One of the golden models that takes texts of any length.
  std::string Model() const {
    const std::string folder = folder_.path() + "/model";
    if (std::filesystem::exists(folder)) return folder;
    std::filesystem::copy(GoldenModel("qwen2"), folder);
    Json config = Json::parse(ReadFile(folder + "/config.json"));
    config["max_position_embeddings"] = 2 * kPoisonTokens;
    WriteFile(folder + "/config.json", config.dump());
    return folder;
  }

  // For which no worker has the memory.
  static std::string PoisonSample() {
    return TokenIdsLine(std::vector<int32_t>(static_cast<size_t>(kPoisonTokens), 7));
  }

  void StartWorkers(int count) {
    for (int id = 0; id < count; ++id) workers_.emplace(id, Process(Worker(id)));
  }

  // A run with some units made and all others open, and nobody at work.
  void BeginRun(bool has_poison = false) {
    WriteSamples(Dataset(), {.count = 150'000, .shortest = 100, .longest = 250, .seed = 4});
    if (has_poison) {
      // A little way into the stream of worker 3.
      std::string samples = ReadFile(Dataset());
      const size_t at = samples.find('\n', samples.size() * 3 / 8 + samples.size() / 200);
      WriteFile(Dataset(), samples.insert(at + 1, PoisonSample() + "\n"));
    }
    Process first(Worker(0));
    ASSERT_TRUE(WaitUntil([&] { return !FilesBelow(Output() + "/commits").empty(); }));
    first.Signal(SIGTERM);
    EXPECT_EQ(first.Wait().exit_status, 75);
  }

  // A unit in whose claims twenty sessions have vanished: a history that is made up.
  void LetOwnersVanish(int64_t unit) const {
    const Result<std::unique_ptr<Store>> store = OpenStore(Output());
    ASSERT_TRUE(store.ok());
    for (int64_t epoch = 1; epoch <= 20; ++epoch) {
      const Lease lease{unit, epoch, 99, "gone" + std::to_string(epoch)};
      ASSERT_TRUE((*store)->Put(LeaseKey(unit, epoch), AsBytes(lease.ToText())).ok());
    }
  }

  // The first record of a unit that was set aside, once there is one.
  std::string WaitForQuarantine(size_t count) const {
    const std::string folder = Output() + "/quarantine";
    EXPECT_TRUE(WaitUntil(
        [&] {
          PassMilliseconds(50);
          return FilesBelow(folder).size() >= count;
        },
        60'000));
    std::string text;
    for (const std::string& file : FilesBelow(folder)) text += ReadFile(folder + "/" + file);
    return text;
  }

  DashboardProcess Watch() const {
    return DashboardProcess(Thresher({"dashboard", Output(), "--listen", "127.0.0.1:0",
                                      "--interval", "500ms", "--stuck-after", "30s"}),
                            folder_.path() + "/dashboard.log");
  }

  std::string Dataset() const { return folder_.path() + "/samples.jsonl"; }
  std::string Output() const { return folder_.path() + "/run"; }

  TemporaryFolder folder_;
  std::map<int, Process> workers_;
};

TEST_F(WatchedRunTest, KillsAStuckWorkerAndPoisonUnitsAreSeenWithin15Seconds) {
  BeginRun(/*has_poison=*/true);
  const DashboardProcess dashboard = Watch();
  dashboard.WaitFor("nobody at work",
                    [](const Json& run) { return HasAlert(run, "ThresherNoWorkers"); });
  StartWorkers(8);
  dashboard.WaitFor(
      "eight workers",
      [](const Json& run) {
        return run["worker_states"]["running"] == 8 && !HasAlert(run, "ThresherNoWorkers");
      },
      60'000);
  // Worker 3 comes to the poison; the others try it, and the third sets it aside.
  Json run = dashboard.WaitFor(
      "that a unit fails", [](const Json& now) { return HasAlert(now, "ThresherUnitsFailing"); },
      60'000);
  EXPECT_THAT(run["alerts"].dump(), HasSubstr("the engine is out of memory"));
  WaitForQuarantine(1);
  run = dashboard.WaitFor(
      "the poison unit", [](const Json& now) { return HasAlert(now, "ThresherUnitsQuarantined"); });
  ASSERT_EQ(run["quarantined"].size(), 1u);
  EXPECT_THAT(run["quarantined"][0]["errors"][0].get<std::string>(), HasSubstr("out of memory"));
  EXPECT_EQ(run["units"]["quarantined"], 1);
  EXPECT_EQ(run["worker_states"]["running"], 8) << "no worker gave up";

  // The last unit of worker 3's stream, to which nobody has come yet, has killed its owners.
  const int64_t deadly = run["unit_count"].get<int64_t>() / 2 - 1;
  LetOwnersVanish(deadly);
  EXPECT_THAT(WaitForQuarantine(2), HasSubstr("20 claims in all ended without a commit"));
  dashboard.WaitFor("the deadly unit",
                    [](const Json& now) { return now["units"]["quarantined"] == 2; });

  workers_.at(4).Signal(SIGSTOP);
  run = dashboard.WaitFor("the stuck worker", [](const Json& now) {
    return HasState(now, 4, "silent") && HasAlert(now, "ThresherWorkerStuck");
  });
  workers_.at(4).Signal(SIGCONT);
  dashboard.WaitFor("that it is back", [](const Json& now) {
    return HasState(now, 4, "running") && !HasAlert(now, "ThresherWorkerStuck");
  });

  workers_.at(3).Signal(SIGKILL);
  dashboard.WaitFor("the killed worker", [](const Json& now) {
    return HasState(now, 3, "lost") && HasAlert(now, "ThresherWorkerLost");
  });
  workers_.at(3).Wait();
  workers_.erase(3);
  workers_.emplace(3, Process(Worker(3)));
  run = dashboard.WaitFor("its next session", [](const Json& now) {
    return HasState(now, 3, "running") && HasState(now, 3, "replaced") &&
           !HasAlert(now, "ThresherWorkerLost");
  });
  for (const Json& session : run["workers"]) {
    if (session["worker"] == 3 && session["state"] == "running") {
      EXPECT_EQ(session["restarts"], 1);
    }
  }
  std::string events;
  for (const Json& event : run["events"]) events += event["text"].get<std::string>() + "\n";
  for (const char* text : {"worker 4, ", ": silent", ": is back", "worker 3, ", ": lost",
                           "ThresherWorkerStuck: ", "ThresherWorkerStuck is over"}) {
    EXPECT_THAT(events, HasSubstr(text));
  }
  const std::string metrics = dashboard.GetText("metrics");
  EXPECT_THAT(metrics, HasSubstr("\nthresher_units_quarantined{"));
  EXPECT_THAT(metrics, HasSubstr("name=\"ThresherUnitsQuarantined\"} 1\n"));
}

// The same page in a real browser, while a worker is killed.
TEST_F(WatchedRunTest, ThePageWorksInARealBrowser) {
  const std::string driver = SourcePath(".cache/browser/node_modules/playwright-core");
  if (!std::filesystem::exists(driver)) GTEST_SKIP() << "run scripts/fetch_browser_driver.sh";
  const auto is_installed = [](const std::string& program) {
    Command find;
    find.arguments = {"/bin/sh", "-c", "command -v " + program};
    return RunProcess(find).exit_status == 0;
  };
  for (const char* program : {"chromium", "node"}) {
    if (!is_installed(program)) GTEST_SKIP() << program << " is not installed";
  }
  BeginRun();
  DashboardProcess dashboard = Watch();
  StartWorkers(3);
  dashboard.WaitFor(
      "three workers", [](const Json& run) { return run["worker_states"]["running"] == 3; },
      60'000);
  const char* screenshots = std::getenv("THRESHER_SCREENSHOTS");
  Command browse;
  browse.arguments = {"/usr/bin/env",
                      "node",
                      SourcePath("tests/browser/dashboard_page.mjs"),
                      driver,
                      dashboard.url(),
                      std::to_string(workers_.at(1).id()),
                      screenshots == nullptr ? folder_.path() : screenshots};
  const ProcessResult result = RunProcess(browse, 180'000);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  fmt::print("{}", result.out);
  EXPECT_EQ(dashboard.Stop().exit_status, 0);
}

TEST_F(WatchedRunTest, OtherMachinesNeedTheToken) {
  const DashboardProcess dashboard(
      Thresher({"dashboard", folder_.path(), "--listen", "127.0.0.1:0", "--token", "sesame"}),
      folder_.path() + "/dashboard.log");
  const size_t query = dashboard.url().find("/?token=sesame");
  ASSERT_NE(query, std::string::npos) << dashboard.url();
  const std::string address = dashboard.url().substr(0, query);
  EXPECT_EQ(SendHttpRequest({.url = address + "/api/runs"})->status, 401);
  EXPECT_EQ(SendHttpRequest({.url = address + "/api/runs?token=sesame"})->status, 200);
  const DashboardProcess open(Thresher({"dashboard", folder_.path(), "--listen", "0.0.0.0:0"}),
                              folder_.path() + "/open.log");
  EXPECT_THAT(open.url(), HasSubstr("/?token="));
  const ProcessResult wrong = RunProcess(Thresher({"dashboard", folder_.path(), "--listen", "x"}));
  EXPECT_EQ(wrong.exit_status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("ADDRESS:PORT"));
}

TEST_F(WatchedRunTest, AnEmptyPlaceIsSaid) {
  const std::string log = folder_.path() + "/empty.log";
  const DashboardProcess dashboard(
      Thresher({"dashboard", folder_.path() + "/nothing", "--listen", "127.0.0.1:0"}), log);
  EXPECT_TRUE(WaitUntil([&] {
    PassMilliseconds(20);
    return ReadFileForTest(log).find("there is no run in " + folder_.path() + "/nothing yet") !=
           std::string::npos;
  }));
}

// --- a store that goes away ---

class OutageTest : public testing::Test {
 protected:
  // The first server that there is; nothing if there is none.
  static std::optional<ServerKind> FindServer() {
    for (const ServerKind kind : {ServerKind::kMinio, ServerKind::kMoto, ServerKind::kFakeGcs}) {
      if (WhyServerIsMissing(kind).empty()) return kind;
    }
    return std::nullopt;
  }

  static Command OnServer(const Server& server, Command command) {
    for (const std::string& flag : server.Flags()) command.arguments.push_back(flag);
    for (const auto& [name, value] : server.Environment()) command.environment[name] = value;
    return command;
  }

  TemporaryFolder folder_;
};

TEST_F(OutageTest, AStoreThatDoesNotAnswerIsSeenWithin15Seconds) {
  const std::optional<ServerKind> kind = FindServer();
  if (!kind) GTEST_SKIP() << WhyServerIsMissing(ServerKind::kMinio);
  Server server(*kind);
  ASSERT_TRUE(server.Start().ok());
  const std::string samples = folder_.path() + "/samples.jsonl";
  WriteSamples(samples, {.count = 6, .shortest = 20, .longest = 40, .seed = 2});
  const std::string run_url = server.Url("run");
  ASSERT_EQ(RunProcess(OnServer(server, Extraction{.model = GoldenModel("qwen2"),
                                                   .dataset = samples,
                                                   .output = run_url}
                                            .ToCommand()))
                .exit_status,
            0);
  const DashboardProcess dashboard(
      OnServer(server,
               Thresher({"dashboard", run_url, "--listen", "127.0.0.1:0", "--interval", "500ms"})),
      folder_.path() + "/dashboard.log");
  dashboard.WaitFor("the complete run", [](const Json& run) { return run["state"] == "complete"; });
  server.Signal(SIGSTOP);
  const Json run = dashboard.WaitFor(
      "the outage", [](const Json& now) { return HasAlert(now, "ThresherStoreUnreachable"); });
  EXPECT_EQ(run["state"], "complete");  // what was seen last is still shown
  EXPECT_THAT(dashboard.GetText("metrics"), HasSubstr("thresher_store_reachable{run=\"" +
                                                      run["url"].get<std::string>() + "\"} 0\n"));
  // People who ask for the state are told what they wait for.
  Command status = OnServer(server, Thresher({"status", run_url}));
  status.log_file = folder_.path() + "/status.log";
  Process waiting(status);
  EXPECT_TRUE(WaitUntil(
      [&] {
        PassMilliseconds(50);
        return std::filesystem::exists(status.log_file) &&
               ReadFile(status.log_file).find("waiting for an answer of") != std::string::npos;
      },
      6'000));
  server.Signal(SIGCONT);
  dashboard.WaitFor("that it is back",
                    [](const Json& now) { return !HasAlert(now, "ThresherStoreUnreachable"); });
  EXPECT_EQ(waiting.Wait().exit_status, 0) << ReadFile(status.log_file);
}

}  // namespace
}  // namespace thresher
