// Death at every point of a commit: a worker is killed before, after and in the middle of its n-th
// file system call on the run's folder, for every n until a run completes undisturbed; then a
// healthy worker takes over.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"
#include "work/keys.h"

namespace thresher {
namespace {

struct CrashPoint {
  int call = 0;      // counted from 1; 0: no crash
  const char* when;  // "before", "after", "middle"
};

class CrashPointTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteSamples(Dataset(), {.count = 9, .shortest = 20, .longest = 60, .seed = 3});
    // The same path for all runs, relative to which the calls are: each has a folder of its own.
    const ProcessResult result = Worker("undisturbed", "1m").Run();
    ASSERT_EQ(result.exit_status, 0) << result.Describe();
    Result<RunContent> content = ReadCompleteRun(Output("undisturbed"));
    ASSERT_TRUE(content.ok()) << content.status().message();
    undisturbed_ = std::move(content).value();
    ASSERT_GE(undisturbed_->units.size(), 3u);
  }

  std::string Dataset() const { return folder_.path() + "/samples.jsonl"; }
  std::string Output(const std::string& run) const { return folder_.path() + "/" + run; }
  std::string Log(const std::string& run) const { return folder_.path() + "/" + run + ".log"; }

  Extraction Worker(const std::string& run, const std::string& lease_ttl) const {
    return {GoldenModel("qwen2"),
            Dataset(),
            Output(run),
            {"--hooks", "resid_post", "--shard-bytes", "100KB", "--batch-tokens", "64",
             "--lease-ttl", lease_ttl, "--quiet"}};
  }

  // A worker that dies at that point. Its heartbeats are rare: they would blur the count.
  ProcessResult RunAndCrash(const std::string& run, const CrashPoint& point) const {
    Command command = Worker(run, "1m").ToCommand();
    command.environment["LD_PRELOAD"] = THRESHER_CRASH_LIBRARY;
    command.environment["CRASH_FOLDER"] = Output(run);
    command.environment["CRASH_AT"] = std::to_string(point.call);
    command.environment["CRASH_WHEN"] = point.when;
    command.environment["CRASH_LOG"] = Log(run);
    return RunProcess(command);
  }

  // Lines of the log: one for each counted call.
  std::vector<std::string> Calls(const std::string& run) const {
    std::vector<std::string> lines;
    if (!std::filesystem::exists(Log(run))) return lines;
    const std::string text = ReadFile(Log(run));
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      lines.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return lines;
  }

  // Kills one worker there, and lets a healthy one finish. What went wrong, or nothing.
  std::string CrashAndFinish(const CrashPoint& point, ProcessResult& crash) {
    const std::string run = fmt::format("{}-{}", point.when, point.call);
    crash = RunAndCrash(run, point);
    if (crash.signal == 0) {
      if (crash.exit_status != 0) return "the worker failed by itself: " + crash.Describe();
    } else if (crash.signal != SIGKILL) {
      return "the worker crashed by itself: " + crash.Describe();
    } else {
      CountKill(Calls(run).back());
    }
    // What is there at the moment of death is whole, if there is a run yet.
    if (std::filesystem::exists(Output(run) + "/run.json")) {
      const Result<RunContent> left = ReadRun(Output(run));
      if (!left.ok()) return "after the death: " + left.status().message();
    }
    const ProcessResult healthy = Worker(run, "150ms").Run();
    if (healthy.exit_status != 0) return "the next worker failed: " + healthy.Describe();
    const Result<RunContent> content = ReadCompleteRun(Output(run));
    if (!content.ok()) return content.status().message();
    std::string difference = DifferenceBetween(*undisturbed_, *content);
    if (!difference.empty()) return difference;
    if (point.call % 8 == 1) {
      const ProcessResult verify = RunProcess(Thresher({"verify", Output(run), "--quiet"}));
      if (verify.exit_status != 0) return "verify: " + verify.Describe();
    }
    std::filesystem::remove_all(Output(run));
    return "";
  }

  void CountKill(const std::string& call) {
    std::lock_guard lock(mutex_);
    ++kills_[call.substr(0, call.find(' '))];
  }

  // n = 1, 2, 3, ... until a run completes, several at a time: most of each is waiting for the time
  // to live.
  void Sweep(const char* when) {
    constexpr int kParallel = 6;
    constexpr int kMaxCalls = 2000;
    std::atomic<int> next{1};
    std::atomic<bool> undisturbed_run_seen{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < kParallel; ++i) {
      threads.emplace_back([&] {
        while (!undisturbed_run_seen) {
          const CrashPoint point{next++, when};
          ProcessResult crash;
          const std::string wrong =
              point.call <= kMaxCalls ? CrashAndFinish(point, crash) : "it never completes";
          if (!wrong.empty()) {
            ADD_FAILURE() << when << " call " << point.call << ": " << wrong;
            return;
          }
          if (crash.signal == 0) undisturbed_run_seen = true;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(undisturbed_run_seen);
    int total = 0;
    for (const auto& [name, count] : kills_) {
      fmt::print("  killed {} {:>3} times: {}\n", when, count, name);
      total += count;
    }
    // The library does kill, and the sweep does reach each step of a commit.
    EXPECT_GE(total, 60);
    for (const char* name : {"open", "write", "fsync", "link", "rename", "unlink", "mkdir"}) {
      EXPECT_GE(kills_[name], 3) << "of " << name;
    }
  }

  TemporaryFolder folder_;
  std::optional<RunContent> undisturbed_;
  std::mutex mutex_;
  std::map<std::string, int> kills_;
};

TEST_F(CrashPointTest, TheLibraryKillsWhereItIsTold) {
  const ProcessResult none = RunAndCrash("none", {0, "before"});
  ASSERT_EQ(none.exit_status, 0) << none.Describe();
  const std::vector<std::string> calls = Calls("none");
  ASSERT_GT(calls.size(), 60u);
  const auto is_commit = [&](const std::string& call) {
    return call.starts_with("link " + Output("none") + "/commits/unit-000000.json ");
  };
  ASSERT_EQ(std::count_if(calls.begin(), calls.end(), is_commit), 1);

  // The first calls make folders and files: before, nothing is there; after, it is.
  const ProcessResult before = RunAndCrash("first-before", {1, "before"});
  EXPECT_EQ(before.signal, SIGKILL) << before.Describe();
  EXPECT_FALSE(std::filesystem::exists(Output("first-before")));
  const ProcessResult after = RunAndCrash("first-after", {1, "after"});
  EXPECT_EQ(after.signal, SIGKILL) << after.Describe();
  EXPECT_TRUE(std::filesystem::exists(Output("first-after")));
}

// A killed process loses nothing that it has written; a machine without power does. So the order is
// checked: a file has its name only after fsync has come back for its bytes, and the name is on
// disk, by fsync of the folder, before anything else is named.
TEST_F(CrashPointTest, NamesAreGivenToWhatIsOnDisk) {
  ASSERT_EQ(RunAndCrash("none", {0, "before"}).exit_status, 0);
  const std::vector<std::string> calls = Calls("none");
  int names = 0;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (!calls[i].starts_with("link ") && !calls[i].starts_with("rename ")) continue;
    ++names;
    const size_t to_begin = calls[i].find(' ') + 1;
    const size_t from_begin = calls[i].find(' ', to_begin) + 1;
    const std::string to = calls[i].substr(to_begin, from_begin - 1 - to_begin);
    const std::string from = calls[i].substr(from_begin);
    const std::string folder = to.substr(0, to.rfind('/'));
    std::string last_change;
    for (size_t j = 0; j < i; ++j) {
      if (calls[j].ends_with(" " + from)) last_change = calls[j];
    }
    EXPECT_EQ(last_change, "fsync " + from) << "before " << calls[i];
    const auto after =
        std::find(calls.begin() + static_cast<ptrdiff_t>(i) + 1, calls.end(), "fsync " + folder);
    EXPECT_NE(after, calls.end()) << "no fsync of the folder after " << calls[i];
  }
  EXPECT_GE(names, 12);
}

// The shard is there, name and all, before the commit that names it.
TEST_F(CrashPointTest, ACommitComesAfterItsShard) {
  ASSERT_EQ(RunAndCrash("none", {0, "before"}).exit_status, 0);
  const std::vector<std::string> calls = Calls("none");
  const Result<RunContent> content = ReadCompleteRun(Output("none"));
  ASSERT_TRUE(content.ok()) << content.status().message();
  for (const UnitContent& unit : content->units) {
    const auto place_of = [&](const std::string& start) {
      return std::find_if(calls.begin(), calls.end(),
                          [&](const std::string& call) { return call.starts_with(start); });
    };
    const std::string shard = Output("none") + "/" + unit.commit.shard;
    const auto shard_named = place_of("rename " + shard + " ");
    const auto committed = place_of("link " + Output("none") + "/" + CommitKey(unit.commit.unit));
    ASSERT_NE(shard_named, calls.end());
    ASSERT_NE(committed, calls.end());
    const std::string folder_synced = "fsync " + shard.substr(0, shard.rfind('/'));
    EXPECT_LT(std::find(shard_named, calls.end(), folder_synced), committed);
  }
}

TEST_F(CrashPointTest, BeforeEachCall) { Sweep("before"); }

TEST_F(CrashPointTest, AfterEachCall) { Sweep("after"); }

TEST_F(CrashPointTest, InTheMiddleOfEachWrite) { Sweep("middle"); }

}  // namespace
}  // namespace thresher
