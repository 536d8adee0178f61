// `thresher launch local`: several workers of the real program on this machine, as a person starts,
// stops and loses them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::Not;

class LaunchLocalTest : public ::testing::Test {
 protected:
  // What is in `flags` takes the place of what stands here.
  std::vector<std::string> Arguments(const std::vector<std::string>& flags) const {
    std::vector<std::string> arguments = {"launch", "local", "--no-checkpointing"};
    const std::vector<std::pair<std::string, std::string>> usual = {
        {"--model", GoldenModel("qwen2")},
        {"--dataset", Samples()},
        {"--output", Run()},
        {"--compute", "f32"},
        {"--dtype", "f32"},
        {"--lease-ttl", "2s"}};
    for (const auto& [flag, value] : usual) {
      if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
      arguments.insert(arguments.end(), {flag, value});
    }
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return arguments;
  }

  // Units that take a while each, so that there is something to end in the middle.
  void WriteSlowSamples() const {
    WriteSamples(Samples(), {.count = 8'000, .shortest = 2, .longest = 2});
  }
  std::vector<std::string> SlowFlags(const std::vector<std::string>& flags) const {
    std::vector<std::string> slow = {"--batch-tokens", "2", "--shard-bytes", "256KB"};
    slow.insert(slow.end(), flags.begin(), flags.end());
    return Arguments(slow);
  }

  bool HasCommit() const { return !FilesBelow(Run() + "/commits").empty(); }

  // Until something is committed; false if `process` ends first.
  bool WaitForCommit(Process& process) const {
    while (!HasCommit()) {
      if (process.HasEnded()) return false;
      PassMilliseconds(10);
    }
    return true;
  }

  std::string Samples() const { return folder_.PathOf("samples.jsonl"); }
  std::string Run() const { return folder_.PathOf("run"); }

  TemporaryFolder folder_;
};

// The processes whose parent is `parent`.
std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    const std::string stat(std::istreambuf_iterator<char>(file), {});
    // "ID (NAME) STATE PARENT ..."
    const size_t end = stat.rfind(')');
    if (end == std::string::npos) continue;
    if (std::stoi(stat.substr(end + 4)) == parent) children.push_back(std::stoi(name));
  }
  return children;
}

TEST_F(LaunchLocalTest, CompletesARun) {
  WriteSamples(Samples(), {.count = 200, .shortest = 5, .longest = 20});
  const ProcessResult result = RunProcess(
      Thresher(Arguments({"--workers", "3", "--shard-bytes", "128KB", "--threads", "1"})));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  // Each worker's lines carry its number.
  for (const char* number : {"[0] ", "[1] ", "[2] "}) EXPECT_THAT(result.err, HasSubstr(number));
  const Result<RunContent> content = ReadCompleteRun(Run());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), 200u);
  EXPECT_EQ(RunProcess(Thresher({"verify", Run()})).exit_status, 0);
}

TEST_F(LaunchLocalTest, StartsAKilledWorkerAgain) {
  WriteSlowSamples();
  Process launch(Thresher(SlowFlags({"--workers", "2", "--threads", "1"})));
  ASSERT_TRUE(WaitForCommit(launch)) << launch.Wait().Describe();
  const std::vector<pid_t> workers = ChildrenOf(launch.id());
  ASSERT_EQ(workers.size(), 2u);
  kill(workers[0], SIGKILL);
  const ProcessResult result = launch.Wait();
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("was killed by signal 9; it starts again in 1s"));
  const Result<RunContent> content = ReadCompleteRun(Run());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), 8'000u);
}

TEST_F(LaunchLocalTest, StopsAllAndGoesOnLater) {
  WriteSlowSamples();
  const std::vector<std::string> arguments = SlowFlags({"--workers", "2", "--threads", "1"});
  Process launch(Thresher(arguments));
  ASSERT_TRUE(WaitForCommit(launch)) << launch.Wait().Describe();
  const std::vector<pid_t> workers = ChildrenOf(launch.id());
  launch.Signal(SIGTERM);
  const ProcessResult stopped = launch.Wait();
  EXPECT_EQ(stopped.exit_status, 75) << stopped.Describe();
  EXPECT_THAT(stopped.err, Not(HasSubstr("it starts again")));
  for (const pid_t worker : workers) EXPECT_NE(kill(worker, 0), 0) << "still there";
  EXPECT_FALSE(ReadCompleteRun(Run()).ok());

  const ProcessResult finished = RunProcess(Thresher(arguments));
  EXPECT_EQ(finished.exit_status, 0) << finished.Describe();
  EXPECT_TRUE(ReadCompleteRun(Run()).ok());
}

TEST_F(LaunchLocalTest, WorkersEndWhenTheLauncherIsKilled) {
  WriteSlowSamples();
  Process launch(Thresher(SlowFlags({"--workers", "2", "--threads", "1"})));
  ASSERT_TRUE(WaitForCommit(launch)) << launch.Wait().Describe();
  const std::vector<pid_t> workers = ChildrenOf(launch.id());
  launch.Signal(SIGKILL);
  launch.Wait();
  for (const pid_t worker : workers) {
    int64_t patience = 30'000;
    while (kill(worker, 0) == 0 && patience > 0) {
      // A zombie whose parent, init, does not reap is as good as gone.
      std::ifstream file("/proc/" + std::to_string(worker) + "/stat");
      const std::string stat(std::istreambuf_iterator<char>(file), {});
      if (stat.find(") Z ") != std::string::npos) break;
      PassMilliseconds(20);
      patience -= 20;
    }
    EXPECT_GT(patience, 0) << "worker " << worker << " goes on without its launcher";
  }
}

TEST_F(LaunchLocalTest, GivesUpAWorkerThatFailsTooOften) {
  // No record can be used, which only the workers find out.
  WriteFile(Samples(), "{\"token_ids\": [\"x\"]}\n");
  const ProcessResult result =
      RunProcess(Thresher(Arguments({"--workers", "1", "--max-restarts", "1"})));
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("[0] ended with status 1; it starts again in 1s\n"));
  EXPECT_THAT(result.err, HasSubstr("[0] ended with status 1\n"));
}

TEST_F(LaunchLocalTest, JsonLinesStayJson) {
  WriteSamples(Samples(), {.count = 20, .shortest = 5, .longest = 20});
  const ProcessResult result = RunProcess(Thresher(Arguments({"--workers", "2", "--json"})));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("{\""));
  EXPECT_THAT(result.out, Not(HasSubstr("[0]")));
}

TEST_F(LaunchLocalTest, DryRunPrintsTheWorkersAndStartsNone) {
  WriteSamples(Samples(), {.count = 1});
  const ProcessResult result =
      RunProcess(Thresher(Arguments({"--workers", "2", "--devices", "CUDA_VISIBLE_DEVICES=0,1,2,3",
                                     "--dry-run", "--prompt-end", "prefix:it's"})));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("env CUDA_VISIBLE_DEVICES=0,1 taskset -c "));
  EXPECT_THAT(result.out, HasSubstr("env CUDA_VISIBLE_DEVICES=2,3 taskset -c "));
  EXPECT_THAT(result.out, HasSubstr("--num-workers=2 --worker-id=1\n"));
  EXPECT_THAT(result.out, HasSubstr(R"('--prompt-end=prefix:it'\''s')"));
  EXPECT_FALSE(std::filesystem::exists(Run()));
}

TEST_F(LaunchLocalTest, AWrongSettingCostsNothing) {
  WriteSamples(Samples(), {.count = 1});
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--workers", "2", "--hooks", "resid_psot"}, "resid_psot"},
      {{"--workers", "2", "--layers", "0-99"}, "--layers"},
      {{"--workers", "2", "--dtype", "bf17"}, "--dtype"},
      {{"--workers", "2", "--dataset", "no-such-file.jsonl"}, "no-such-file.jsonl"},
      {{"--workers", "2", "--worker-id", "3"}, "--worker-id: the engine numbers the workers"},
      {{"--workers", "2", "--num-workers", "3"}, "--num-workers: is what --workers says"},
      {{"--workers", "2", "--output", "memory:"}, "--output: "},
      {{"--workers", "0"}, "--workers"},
      {{"--workers", "2", "--name", "Not a name"}, "--name: "},
      {{"--workers", "2", "--devices", "0,1"}, "--devices: "},
      {{"--workers", "3", "--devices", "A=0,1"}, "--devices: 2 devices for 3 workers"},
      {{}, "--workers"},
  };
  for (const auto& [flags, message] : cases) {
    const ProcessResult result = RunProcess(Thresher(Arguments(flags)));
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_THAT(result.err, HasSubstr(message)) << result.Describe();
    EXPECT_THAT(result.err, Not(HasSubstr("[0]"))) << result.Describe();
  }
  EXPECT_FALSE(std::filesystem::exists(Run()));
  const ProcessResult no_model =
      RunProcess(Thresher(Arguments({"--workers", "2", "--model", folder_.PathOf("absent")})));
  EXPECT_EQ(no_model.exit_status, 1) << no_model.Describe();
  EXPECT_THAT(no_model.err, HasSubstr("absent"));
}

}  // namespace
}  // namespace thresher
