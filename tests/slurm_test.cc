// `thresher launch slurm` on Slurm itself: a job of a higher partition takes the node away in the
// middle of a run, the tasks are queued again, and the run completes with every sample once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"
#include "slurm_cluster.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int64_t kPatienceMs = 60'000;
constexpr int64_t kSampleCount = 30'000;

bool WaitUntil(const std::function<bool()>& is_true) {
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + kPatienceMs;
  while (!is_true()) {
    if (Clock::Real().MonotonicMs() > deadline_ms) return false;
    PassMilliseconds(100);
  }
  return true;
}

class SlurmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = WhySlurmIsMissing();
    if (!missing.empty()) GTEST_SKIP() << missing;
    cluster_.emplace();
    const Status started = cluster_->Start();
    ASSERT_TRUE(started.ok()) << started.message();
    WriteSamples(folder_.PathOf("samples.jsonl"),
                 {.count = kSampleCount, .shortest = 2, .longest = 2});
  }

  void TearDown() override {
    if (HasFailure() && cluster_) ADD_FAILURE() << cluster_->Logs() << TaskLogs();
  }

  // Two tasks of a processor each, whose units are small and slow.
  void Launch(const std::string& stop_grace = "2s", const std::string& time_limit = "") const {
    Command command = Thresher({"launch",
                                "slurm",
                                "--workers",
                                "2",
                                "--cpus",
                                "1",
                                "--partition",
                                "low",
                                "--name",
                                "job",
                                "--model",
                                GoldenModel("qwen2"),
                                "--dataset",
                                folder_.PathOf("samples.jsonl"),
                                "--output",
                                RunFolder(),
                                "--compute",
                                "f32",
                                "--dtype",
                                "f32",
                                "--no-checkpointing",
                                "--batch-tokens",
                                "2",
                                "--shard-bytes",
                                "512KB",
                                "--lease-ttl",
                                "5s",
                                "--stop-grace",
                                stop_grace});
    if (!time_limit.empty()) {
      command.arguments.insert(command.arguments.end(), {"--time", time_limit});
    }
    command.folder = folder_.path();
    for (const auto& [name, value] : cluster_->Environment()) command.environment[name] = value;
    const ProcessResult result = RunProcess(command);
    ASSERT_EQ(result.exit_status, 0) << result.Describe();
    ASSERT_EQ(result.out, "Submitted batch job 1\n") << result.Describe();
  }

  // "1_0" -> "RUNNING"; of those that are still in the queue.
  std::map<std::string, std::string> States() const {
    std::map<std::string, std::string> states;
    std::istringstream lines(
        cluster_->Ask({"/usr/bin/squeue", "--noheader", "--array", "--format=%i %T"}));
    std::string task;
    std::string state;
    while (lines >> task >> state) states[task] = state;
    return states;
  }

  bool AreBoth(const std::string& state) const {
    const std::map<std::string, std::string> states = States();
    return states.contains("1_0") && states.contains("1_1") && states.at("1_0") == state &&
           states.at("1_1") == state;
  }

  size_t CommitCount() const { return FilesBelow(RunFolder() + "/commits").size(); }

  std::string TaskLogs() const {
    std::string logs;
    for (const std::string& file : FilesBelow(folder_.path())) {
      if (file.ends_with(".log")) logs += "--- " + file + "\n" + ReadFile(folder_.PathOf(file));
    }
    return logs;
  }

  std::string RunFolder() const { return folder_.PathOf("run"); }

  TemporaryFolder folder_;
  std::optional<SlurmCluster> cluster_;
};

TEST_F(SlurmTest, APreemptedRunIsCompleteInTheEnd) {
  Launch();
  ASSERT_TRUE(WaitUntil([&] { return AreBoth("RUNNING") && CommitCount() >= 2; }));

  // The whole node for somebody more important.
  EXPECT_THAT(cluster_->Ask({"/usr/bin/sbatch", "--partition=high", "--cpus-per-task=2",
                             "--output=/dev/null", "--wrap", "true"}),
              HasSubstr("Submitted"));
  ASSERT_TRUE(WaitUntil([&] { return AreBoth("PENDING"); }));
  const size_t commits_before = CommitCount();
  EXPECT_FALSE(ReadCompleteRun(RunFolder()).ok()) << "it was complete before it was interrupted";
  // Both were asked, not killed: they handed over what they had.
  EXPECT_THAT(TaskLogs(), HasSubstr("the run is not complete: this task is queued again"));

  ASSERT_TRUE(WaitUntil([&] { return States().empty(); }));
  EXPECT_GT(CommitCount(), commits_before);

  const Result<RunContent> content = ReadCompleteRun(RunFolder());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), static_cast<size_t>(kSampleCount));
  const ProcessResult verified = RunProcess(Thresher({"verify", RunFolder()}));
  EXPECT_EQ(verified.exit_status, 0) << verified.Describe();
  for (const char* task : {"job-1_0.log", "job-1_1.log"}) {
    EXPECT_THAT(ReadFile(folder_.PathOf(task)), HasSubstr("the run is complete"));
  }
}

TEST_F(SlurmTest, ACancelledTaskDoesNotComeBack) {
  Launch();
  ASSERT_TRUE(WaitUntil([&] { return AreBoth("RUNNING") && CommitCount() >= 1; }));
  cluster_->Ask({"/usr/bin/scancel", "1"});
  ASSERT_TRUE(WaitUntil([&] { return States().empty(); }));
  EXPECT_THAT(TaskLogs(), Not(HasSubstr("queued again")));
  for (const char* task : {"1_0", "1_1"}) {
    EXPECT_THAT(cluster_->Ask({"/usr/bin/scontrol", "--oneliner", "show", "job", task}),
                HasSubstr("JobState=CANCELLED"));
  }
}

// The shortest limit that Slurm has, and the longest notice that fits into it.
TEST_F(SlurmTest, ATaskThatReachesItsTimeLimitIsQueuedAgain) {
  WriteSamples(folder_.PathOf("samples.jsonl"),
               {.count = 10 * kSampleCount, .shortest = 2, .longest = 2});
  Launch(/*stop_grace=*/"40s", /*time_limit=*/"1:00");
  ASSERT_TRUE(WaitUntil([&] { return AreBoth("RUNNING") && CommitCount() >= 1; }));
  ASSERT_TRUE(WaitUntil([&] { return AreBoth("PENDING"); }));
  EXPECT_FALSE(ReadCompleteRun(RunFolder()).ok());
  for (const char* task : {"job-1_0.log", "job-1_1.log"}) {
    const std::string log = ReadFile(folder_.PathOf(task));
    EXPECT_THAT(log, HasSubstr("the run is not complete: this task is queued again"));
    EXPECT_THAT(log, Not(HasSubstr("DUE TO TIME LIMIT"))) << "it was asked, not killed";
  }
  // Nobody waits for a lease to run out: every claim has ended, and every unit is free.
  const std::vector<std::string> leases = FilesBelow(RunFolder() + "/leases");
  const std::set<std::string> names(leases.begin(), leases.end());
  for (const std::string& name : leases) {
    if (name.ends_with(".released")) continue;
    const std::string unit = name.substr(0, name.find('/'));
    EXPECT_TRUE(names.contains(name + ".released") ||
                std::filesystem::exists(RunFolder() + "/commits/" + unit + ".json"))
        << name;
  }
  // They start again, and go on.
  const size_t commits_before = CommitCount();
  EXPECT_TRUE(WaitUntil([&] { return CommitCount() >= commits_before + 2; }));
  cluster_->Ask({"/usr/bin/scancel", "1"});
  ASSERT_TRUE(WaitUntil([&] { return States().empty(); }));
}

// docs/guides/slurm.md, with what it submits.
TEST_F(SlurmTest, TheGuideWorks) {
  Command command;
  command.arguments = {
      "/usr/bin/env", "python3",      SourcePath("tests/run_guide.py"),  "--have", "slurm",
      "--program",    ThresherPath(), SourcePath("docs/guides/slurm.md")};
  command.environment = cluster_->Environment();
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("0 need what is not here"));
}

}  // namespace
}  // namespace thresher
