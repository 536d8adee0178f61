// `thresher launch tpu-vm` and `thresher launch skypilot`, as launch_submit_test.cc does it for
// other engines.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "launch_submission.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// --- TPU machines

class LaunchTpuVmTest : public LaunchSubmitTest {
 protected:
  static std::vector<std::string> Flags(const std::vector<std::string>& more) {
    return Joined(
        {"--image", "us-docker.pkg.dev/p/r/thresher:1", "--zone", "us-central1-a", "--accelerator",
         "v5litepod-4", "--runtime-version", "v2-alpha-tpuv5-lite", "--spot", "--name", "first"},
        more);
  }
  // gcloud that knows the states of queued resources and keeps the startup script.
  void AddGcloud() const {
    AddStandIn("gcloud", R"(
case "$*" in
  *" describe first-0 "*) echo ACTIVE ;;
  *" describe first-1 "*) echo SUSPENDED ;;
  *" describe first-2 "*) exit 1 ;;
esac
cat  # must not be given the script
for word in "$@"; do
  case $word in
    --metadata-from-file=startup-script=*) cp "${word##*=}" "$RECORD/startup" ;;
  esac
done)");
  }
  // Runs the startup script on the stand-in of a machine.
  ProcessResult Boot(const std::string& startup) const {
    AddStandIn("curl", R"(
case "${@: -1}" in
  */attributes/thresher-first-worker) echo 6 ;;
  */attributes/agent-worker-number) echo 1 ;;
  */attributes/thresher-node) echo first-6 ;;
  */zone) echo projects/1/zones/us-central1-a ;;
  *) exit 22 ;;
esac)");
    AddStandIn("sleep");
    AddStandIn("mkdir");
    AddStandIn("gcloud");
    return Bash(startup);
  }
};

TEST_F(LaunchTpuVmTest, AsksForWhatIsMissingOnly) {
  AddGcloud();
  const ProcessResult result = Launch("tpu-vm", Flags({"--workers", "3"}));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("first-0: ACTIVE\n"));
  std::vector<std::string> done;
  for (int i = 0; i < CallCount("gcloud"); ++i) {
    const std::vector<std::string> words = Recorded("gcloud", i);
    const size_t verb = words[0] == "--quiet" ? 4 : 3;
    done.push_back(words.at(verb) + " " + words.at(verb + 1));
  }
  EXPECT_THAT(done, ElementsAre("describe first-0", "describe first-1", "delete first-1",
                                "create first-1", "describe first-2", "create first-2"));
  std::vector<std::string> created = Recorded("gcloud", 5);
  ASSERT_EQ(created.size(), 12u);
  EXPECT_THAT(created.back(), HasSubstr("--metadata-from-file=startup-script="));
  created.pop_back();
  EXPECT_THAT(created,
              ElementsAre("compute", "tpus", "queued-resources", "create", "first-2",
                          "--node-id=first-2", "--zone=us-central1-a",
                          "--accelerator-type=v5litepod-4", "--runtime-version=v2-alpha-tpuv5-lite",
                          "--spot", "--metadata=thresher-node=first-2,thresher-first-worker=2"));
}

TEST_F(LaunchTpuVmTest, HostileValuesReachTheWorkerAsTheyAre) {
  int runs = 0;
  for (const std::string& hostile : kHostile) {
    AddGcloud();
    const ProcessResult printed =
        Launch("tpu-vm", Flags(Joined(HostileFlags(hostile), {"--dry-run"})));
    ASSERT_EQ(printed.exit_status, 0) << printed.Describe();
    ExpectCleanShell(printed.out);
    ASSERT_EQ(Bash(printed.out).exit_status, 0);
    const std::string startup = ReadFile(folder_.PathOf("record/startup"));
    ExpectCleanShell(startup);
    AddStandIn("docker");
    const ProcessResult result = Boot(startup);
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    // pull, rm, run
    EXPECT_THAT(Recorded("docker", runs),
                ElementsAre("pull", "--quiet", "us-docker.pkg.dev/p/r/thresher:1"));
    const std::vector<std::string> words = Recorded("docker", runs + 2);
    runs += 3;
    const auto image = std::find(words.begin(), words.end(), "us-docker.pkg.dev/p/r/thresher:1");
    ASSERT_NE(image, words.end());
    EXPECT_EQ(
        std::vector<std::string>(image + 1, words.end()),
        Joined(Joined({"extract"}, WorkerFlags(hostile)), {"--num-workers=2", "--worker-id=7"}));
  }
}

TEST_F(LaunchTpuVmTest, AMachineStartsItsWorkerAgainUntilTheRunIsComplete) {
  AddGcloud();
  ASSERT_EQ(Launch("tpu-vm", Flags({"--workers", "3"})).exit_status, 0);
  const std::string startup = ReadFile(folder_.PathOf("record/startup"));
  // The first start is stopped, the second fails, the third completes the run.
  AddStandIn("docker", R"([[ $1 == run ]] || exit 0
echo x >>"$RECORD/starts"
case $(wc -l <"$RECORD/starts") in
  1) exit 75 ;;
  2) exit 137 ;;
  *) exit 0 ;;
esac)");
  const int before = CallCount("gcloud");
  const ProcessResult result = Boot(startup);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(ReadFile(folder_.PathOf("record/starts")), "x\nx\nx\n");
  // It may pull the image, and deletes itself in the end.
  EXPECT_THAT(Recorded("gcloud", before),
              ElementsAre("--quiet", "auth", "configure-docker", "us-docker.pkg.dev"));
  EXPECT_THAT(Recorded("gcloud", before + 1),
              ElementsAre("--quiet", "compute", "tpus", "queued-resources", "delete", "first-6",
                          "--zone=us-central1-a", "--force", "--async"));
}

TEST_F(LaunchTpuVmTest, WrongUsageLeavesTheMachineForSomebodyToLook) {
  AddGcloud();
  ASSERT_EQ(Launch("tpu-vm", Flags({"--workers", "3"})).exit_status, 0);
  AddStandIn("docker", "[[ $1 == run ]] && exit 2\nexit 0");
  const int before = CallCount("gcloud");
  EXPECT_THAT(Boot(ReadFile(folder_.PathOf("record/startup"))).out,
              HasSubstr("the worker ended with status 2\n"));
  EXPECT_EQ(CallCount("gcloud"), before + 1);
}

// --- SkyPilot

class LaunchSkypilotTest : public LaunchSubmitTest {
 protected:
  static std::vector<std::string> Flags(const std::vector<std::string>& more) {
    return Joined({"--image", "registry.example/thresher:1", "--name", "first", "--infra",
                   "gcp/us-central1", "--cpus", "16+", "--memory", "64+", "--spot"},
                  more);
  }
  void AddSky() const {
    AddStandIn("sky", "cat  # must not be given the script\ncp \"${@: -1}\" \"$RECORD/task.yaml\"");
  }
  // SkyPilot's own reading of the task that was submitted last.
  Json Task() const {
    Command command;
    command.arguments = {ValidatorPython("skypilot"), SourcePath("tests/check_manifest.py"),
                         "skypilot", folder_.PathOf("record/task.yaml")};
    command.environment = {{"HOME", folder_.path()}, {"SKYPILOT_DISABLE_USAGE_COLLECTION", "1"}};
    const ProcessResult result = RunProcess(command);
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    return result.exit_status == 0 ? Json::parse(result.out) : Json();
  }
};

TEST_F(LaunchSkypilotTest, SubmitsAJobForEachWorker) {
  AddSky();
  const ProcessResult result =
      Launch("skypilot", Flags({"--workers", "2", "--secret", "AWS_SECRET_ACCESS_KEY"}));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  ASSERT_EQ(CallCount("sky"), 2);
  std::vector<std::string> words = Recorded("sky", 1);
  words.pop_back();
  EXPECT_THAT(words,
              ElementsAre("jobs", "launch", "--yes", "--detach-run", "--name", "first-1", "--env",
                          "THRESHER_WORKER_ID=1", "--secret", "AWS_SECRET_ACCESS_KEY"));
}

TEST_F(LaunchSkypilotTest, HostileValuesReachTheWorkerAsTheyAre) {
  if (!HasValidator("skypilot")) GTEST_SKIP() << WhyNoValidator("skypilot");
  AddSky();
  AddStandIn("thresher");
  // All in one: SkyPilot takes seconds to read a file.
  std::string hostile;
  for (const std::string& one : kHostile) hostile += one + "\n";
  const ProcessResult printed =
      Launch("skypilot", Flags(Joined(HostileFlags(hostile), {"--dry-run"})));
  ASSERT_EQ(printed.exit_status, 0) << printed.Describe();
  ExpectCleanShell(printed.out);
  ASSERT_EQ(Bash(printed.out).exit_status, 0);
  const Json task = Task();
  ASSERT_TRUE(task.is_object());
  EXPECT_EQ(task["resources"]["image_id"], "docker:registry.example/thresher:1");
  ExpectCleanShell("#!/bin/bash\n" + task["run"].get<std::string>());
  EXPECT_EQ(Bash(task["run"]).exit_status, 0);
  EXPECT_EQ(Recorded("thresher"),
            Joined(Joined({"extract"}, WorkerFlags(hostile)), {"--num-workers=2"}));
}

TEST_F(LaunchSkypilotTest, ExitStatusesDecideWhatBecomesOfTheJob) {
  AddSky();
  ASSERT_EQ(Launch("skypilot", Flags({"--workers", "1", "--max-restarts", "2"})).exit_status, 0);
  // The block of the task file, without a reader of YAML.
  const std::string yaml = ReadFile(folder_.PathOf("record/task.yaml"));
  const size_t begin = yaml.find("run: ") + 5;
  const std::string run = Json::parse(yaml.substr(begin, yaml.rfind('"') + 1 - begin));
  AddStandIn("sleep");
  int starts = 0;
  for (const auto& [status, expected] : std::map<int, std::pair<int, int>>{
           {0, {0, 1}}, {2, {2, 1}}, {3, {0, 1}}, {75, {75, 1}}, {1, {1, 3}}}) {
    AddStandIn("thresher", fmt::format("exit {}", status));
    EXPECT_EQ(Bash(run).exit_status, expected.first) << status;
    EXPECT_EQ(CallCount("thresher") - starts, expected.second) << status;
    starts = CallCount("thresher");
  }
}

}  // namespace
}  // namespace thresher
