// `thresher launch slurm` and `thresher launch kubernetes`. Stand-in clients record what they are
// given; scripts and manifests are checked by shellcheck and the API's own schemas; and what they
// would start is started, with a stand-in for the worker, so that hostile values can be followed to
// where they arrive.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
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
using testing::Not;

// --- Slurm

class LaunchSlurmTest : public LaunchSubmitTest {
 protected:
  std::vector<std::string> Flags(const std::vector<std::string>& more) const {
    return Joined({"--skip-path-check", "--program", folder_.PathOf("bin/worker")}, more);
  }
  std::string Script(const std::vector<std::string>& flags) const {
    const ProcessResult result = Launch("slurm", Joined(Flags(flags), {"--dry-run"}));
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    return result.out;
  }
  // Runs the script as task 1 of job 7.
  ProcessResult RunTask(const std::string& script) const {
    return Bash(script, {{"SLURM_ARRAY_TASK_ID", "1"}, {"SLURM_ARRAY_JOB_ID", "7"}});
  }
};

TEST_F(LaunchSlurmTest, SubmitsWhatDryRunPrints) {
  AddStandIn("sbatch", "cat >\"$RECORD/sbatch.stdin\"\necho Submitted batch job 12");
  const std::vector<std::string> flags = {"--workers",
                                          "8",
                                          "--cpus",
                                          "16",
                                          "--memory",
                                          "64G",
                                          "--time",
                                          "4:00:00",
                                          "--gpus",
                                          "1",
                                          "--account",
                                          "lab",
                                          "--partition",
                                          "spot",
                                          "--at-once",
                                          "4",
                                          "--sbatch-option=--constraint=avx512",
                                          "--name",
                                          "first"};
  const ProcessResult result = Launch("slurm", Flags(flags));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(result.out, "Submitted batch job 12\n");
  EXPECT_TRUE(Recorded("sbatch").empty());
  const std::string script = Script(flags);
  EXPECT_EQ(ReadFile(folder_.PathOf("record/sbatch.stdin")), script);
  EXPECT_THAT(script, HasSubstr(R"(#SBATCH --job-name=first
#SBATCH --array=0-7%4
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=first-%A_%a.log
#SBATCH --signal=B:USR1@40
#SBATCH --partition=spot
#SBATCH --account=lab
#SBATCH --time=4:00:00
#SBATCH --mem=64G
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-task=1
#SBATCH --constraint=avx512
)"));
  ExpectCleanShell(script);
}

TEST_F(LaunchSlurmTest, WithoutSbatchSaysWhatToDo) {
  Command command = Thresher({"launch", "slurm", "--workers", "1", "--skip-path-check", "--model",
                              "M", "--dataset", "d", "--output", "r"});
  command.environment["PATH"] = folder_.PathOf("bin");
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_THAT(result.err, HasSubstr("sbatch is not installed here; --dry-run prints"));
}

TEST_F(LaunchSlurmTest, AFailureOfTheClientIsOurs) {
  AddStandIn("sbatch", "echo 'sbatch: error: invalid account' >&2; exit 1");
  const ProcessResult result = Launch("slurm", Flags({"--workers", "1"}));
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_THAT(result.err, HasSubstr("invalid account"));
  EXPECT_THAT(result.err, HasSubstr("sbatch ended with status 1"));
}

TEST_F(LaunchSlurmTest, HostileValuesReachTheWorkerAsTheyAre) {
  AddStandIn("worker");
  for (size_t i = 0; i < kHostile.size(); ++i) {
    const std::string script = Script(HostileFlags(kHostile[i]));
    const ProcessResult result = RunTask(script);
    EXPECT_EQ(result.exit_status, 0) << result.Describe() << script;
    EXPECT_EQ(
        Recorded("worker", static_cast<int>(i)),
        Joined(Joined({"extract"}, WorkerFlags(kHostile[i])), {"--num-workers=2", "--worker-id=1"}))
        << script;
    ExpectCleanShell(script);
  }
}

TEST_F(LaunchSlurmTest, ExitStatusesDecideWhatBecomesOfTheTask) {
  AddStandIn("sleep");
  struct Case {
    int status;
    std::string state;  // of the job
    int starts;
    bool is_requeued;
  };
  const std::vector<Case> cases = {{0, "RUNNING", 1, false},    {2, "RUNNING", 1, false},
                                   {3, "RUNNING", 1, false},    {75, "RUNNING", 1, true},
                                   {75, "CANCELLED", 1, false}, {1, "RUNNING", 3, false}};
  const std::string script = Script({"--workers", "2", "--max-restarts", "2"});
  int starts = 0;
  int questions = 0;
  for (const Case& one : cases) {
    AddStandIn("worker", fmt::format("exit {}", one.status));
    AddStandIn("scontrol", fmt::format("[[ $1 == requeue ]] || echo 'JobId=7 JobState={} Reason=x'",
                                       one.state));
    const ProcessResult result = RunTask(script);
    EXPECT_EQ(result.exit_status, one.status) << result.Describe();
    EXPECT_EQ(CallCount("worker") - starts, one.starts) << one.status;
    const int asked = CallCount("scontrol") - questions;
    EXPECT_EQ(asked, one.status == 75 ? (one.is_requeued ? 2 : 1) : 0) << one.status;
    if (one.is_requeued) {
      EXPECT_THAT(Recorded("scontrol", questions + 1), ElementsAre("requeue", "7_1"));
    }
    starts = CallCount("worker");
    questions = CallCount("scontrol");
  }
}

// --- Kubernetes

class LaunchKubernetesTest : public LaunchSubmitTest {
 protected:
  void SetUp() override {
    if (!HasValidator("manifests")) GTEST_SKIP() << WhyNoValidator("manifests");
  }
  // The manifest, after it was checked.
  Json Checked(const std::vector<std::string>& flags) const {
    const ProcessResult result =
        Launch("kubernetes",
               Joined({"--image", "registry.example/thresher:1"}, Joined(flags, {"--dry-run"})));
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    const std::string path = folder_.Write("manifest.yaml", result.out);
    const ProcessResult checked = RunProcess(
        {.arguments = {"/bin/sh", "-c", "exec \"$0\" \"$1\" kubernetes <\"$2\"",
                       ValidatorPython("manifests"), SourcePath("tests/check_manifest.py"), path}});
    EXPECT_EQ(checked.exit_status, 0) << checked.Describe() << result.out;
    return checked.exit_status == 0 ? Json::parse(checked.out) : Json();
  }
};

TEST_F(LaunchKubernetesTest, AppliesAJobThatTheApiTakes) {
  AddStandIn("kubectl", "cat >\"$RECORD/kubectl.stdin\"\necho job.batch/first created");
  const std::vector<std::string> flags = {"--workers",
                                          "100",
                                          "--name",
                                          "first",
                                          "--cpus",
                                          "16",
                                          "--memory",
                                          "64Gi",
                                          "--spot",
                                          "gke",
                                          "--service-account",
                                          "thresher",
                                          "--namespace",
                                          "research",
                                          "--secret",
                                          "hub-token",
                                          "--volume",
                                          "models=/models",
                                          "--gpus",
                                          "1",
                                          "--stop-grace",
                                          "60s"};
  const ProcessResult result =
      Launch("kubernetes", Joined({"--image", "registry.example/thresher:1"}, flags));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(Recorded("kubectl"), ElementsAre("apply", "-f", "-"));
  const Json job = Checked(flags);
  EXPECT_EQ(ReadFile(folder_.PathOf("record/kubectl.stdin")),
            ReadFile(folder_.PathOf("manifest.yaml")));
  EXPECT_EQ(job["metadata"]["namespace"], "research");
  const Json& spec = job["spec"];
  EXPECT_EQ(spec["completionMode"], "Indexed");
  EXPECT_EQ(spec["completions"], 100);
  EXPECT_EQ(spec["parallelism"], 100);
  EXPECT_EQ(spec["backoffLimitPerIndex"], 5);
  const Json& pod = spec["template"]["spec"];
  EXPECT_EQ(pod["terminationGracePeriodSeconds"], 75);
  EXPECT_EQ(pod["serviceAccountName"], "thresher");
  EXPECT_EQ(pod["nodeSelector"]["cloud.google.com/gke-spot"], "true");
  const Json& container = pod["containers"][0];
  EXPECT_EQ(container["resources"]["limits"], container["resources"]["requests"]);
  EXPECT_EQ(container["resources"]["limits"],
            (Json{{"cpu", "16"}, {"memory", "64Gi"}, {"nvidia.com/gpu", "1"}}));
  EXPECT_EQ(container["envFrom"], Json::parse(R"([{"secretRef": {"name": "hub-token"}}])"));
  EXPECT_EQ(pod["volumes"][1]["persistentVolumeClaim"]["claimName"], "models");
}

// Statuses of the worker (docs/operating.md) -> what the policy does with the pod.
TEST_F(LaunchKubernetesTest, ExitStatusesDecideWhatBecomesOfThePod) {
  std::map<int, std::string> actions;
  const Json job = Checked({"--workers", "2"});
  for (const Json& rule : job["spec"]["podFailurePolicy"]["rules"]) {
    if (!rule.contains("onExitCodes")) continue;
    for (const Json& code : rule["onExitCodes"]["values"]) actions[code] = rule["action"];
  }
  const std::map<int, std::string> expected = {{2, "FailJob"}, {3, "FailIndex"}, {75, "Ignore"}};
  EXPECT_EQ(actions, expected);
}

TEST_F(LaunchKubernetesTest, HostileValuesReachTheWorkerAsTheyAre) {
  for (const std::string& hostile : kHostile) {
    const Json job = Checked(HostileFlags(hostile));
    if (job.is_null()) continue;
    std::vector<std::string> expanded;
    for (std::string word : Strings(job["spec"]["template"]["spec"]["containers"][0]["args"])) {
      // As Kubernetes does: $$ is $, and nothing is a reference.
      for (size_t i = 0; i < word.size(); ++i) {
        if (word[i] != '$') continue;
        ASSERT_EQ(word.substr(i, 2), "$$") << word;
        word.erase(i, 1);
      }
      expanded.push_back(word);
    }
    EXPECT_EQ(expanded, Joined(Joined({"extract"}, WorkerFlags(hostile)), {"--num-workers=2"}));
  }
}

TEST_F(LaunchKubernetesTest, SlicesOfTpusAreAJobSet) {
  const Json set =
      Checked({"--workers", "4", "--tpu-accelerator", "tpu-v5-lite-podslice", "--tpu-topology",
               "2x4", "--tpu-chips", "4", "--spot", "gke", "--name", "first"});
  EXPECT_EQ(set["kind"], "JobSet");
  const Json& group = set["spec"]["replicatedJobs"][0];
  EXPECT_EQ(group["replicas"], 2);
  EXPECT_EQ(group["template"]["spec"]["completions"], 2);
  const Json& pod = group["template"]["spec"]["template"]["spec"];
  EXPECT_EQ(pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"], "2x4");
  const Json& container = pod["containers"][0];
  EXPECT_EQ(container["resources"]["limits"]["google.com/tpu"], "4");
  // Machine 1 of slice 1 is worker 3.
  AddStandIn("thresher");
  std::string script = container["command"][2];
  while (script.find("$$") != std::string::npos) script.replace(script.find("$$"), 2, "$");
  Command command;
  command.arguments = Joined({"/bin/sh", "-c", script, "sh"}, Strings(container["args"]));
  command.environment = {{"SLICE", "1"}, {"JOB_COMPLETION_INDEX", "1"}};
  EXPECT_EQ(RunProcess(WithStandIns(command)).exit_status, 0);
  EXPECT_EQ(
      Recorded("thresher"),
      (std::vector<std::string>{"extract", "--model=/models/M", "--dataset=gs://bucket/d",
                                "--output=gs://bucket/r", "--num-workers=4", "--worker-id=3"}));
}

TEST_F(LaunchKubernetesTest, EveryProvidersSpotNodes) {
  for (const char* provider : {"gke", "eks", "aks"}) {
    const Json pod = Checked({"--workers", "1", "--spot", provider})["spec"]["template"]["spec"];
    EXPECT_EQ(pod["nodeSelector"].size(), 1u);
  }
  EXPECT_THAT(Launch("kubernetes", {"--workers", "1", "--image", "i", "--spot", "moon"}).err,
              HasSubstr("--spot: expected gke, eks or aks"));
}

// --- the container file

TEST(ContainerfileTest, HadolintFindsNothing) {
  if (!HasValidator("manifests")) GTEST_SKIP() << WhyNoValidator("manifests");
  const ProcessResult result =
      RunProcess({.arguments = {SourcePath(".cache/validators/manifests/bin/hadolint"),
                                SourcePath("deploy/Containerfile")}});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
}

// The image would be built, and the program in it would not start.
TEST(ContainerfileTest, TheImageHasEveryLibraryThatTheProgramIsLinkedTo) {
  const std::string text = ReadFile(SourcePath("deploy/Containerfile"));
  const std::string last_stage = text.substr(text.rfind("\nFROM "));
  const ProcessResult linked =
      RunProcess({.arguments = {"/usr/bin/env", "readelf", "--dynamic", ThresherPath()}});
  ASSERT_EQ(linked.exit_status, 0) << linked.Describe();
  const std::regex needed(R"(\(NEEDED\)[^\n]*\[([^\]\n]+)\])");
  int libraries = 0;
  for (std::sregex_iterator match(linked.out.begin(), linked.out.end(), needed), end; match != end;
       ++match) {
    const std::string library = (*match)[1];
    const ProcessResult owner =
        RunProcess({.arguments = {"/usr/bin/env", "dpkg-query", "--search", "*/" + library}});
    if (owner.exit_status != 0) GTEST_SKIP() << library << " is of no Debian package";
    const std::string package = owner.out.substr(0, owner.out.find(':'));
    ++libraries;
    // Which every image has.
    if (package == "libc6" || package == "libgcc-s1") continue;
    EXPECT_THAT(last_stage, HasSubstr(' ' + package + ' ')) << library;
  }
  EXPECT_GE(libraries, 8);
}

// --- every engine on other machines

TEST_F(LaunchSubmitTest, ARunThatWorkersDoNotShareIsRefused) {
  const std::vector<std::string> common = {"--workers", "2",        "--image",   "i",
                                           "--dry-run", "--output", "runs/first"};
  for (const char* engine : {"kubernetes", "tpu-vm", "skypilot"}) {
    const ProcessResult result = Launch(engine, common);
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_THAT(result.err, HasSubstr("--output: workers on other machines do not share"));
  }
  const ProcessResult mounted =
      Launch("kubernetes", {"--workers", "2", "--image", "i", "--dry-run", "--output", "/data/run",
                            "--volume", "shared=/data"});
  EXPECT_EQ(mounted.exit_status, 0) << mounted.Describe();
}

TEST_F(LaunchSubmitTest, FilesOfThisMachineAreRefused) {
  const std::string prompt = folder_.Write("prompt.jinja", "{{ examples }}");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--model", "models/M"}, {"--dataset", "d.jsonl"}, {"--prompt", prompt}};
  for (const auto& [flag, value] : cases) {
    const ProcessResult result =
        Launch("kubernetes", {"--workers", "2", "--image", "i", "--dry-run", flag, value});
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_THAT(result.err, HasSubstr(flag + ": workers on other machines do not see"));
  }
}

TEST_F(LaunchSubmitTest, NoSecretIsWritten) {
  const std::vector<std::pair<std::string, std::string>> secrets = {
      {"--store-endpoint", "https://user:hunter2@host"},
      {"--output", "s3://bucket/run?secret_access_key=hunter2"}};
  for (const auto& [flag, value] : secrets) {
    const ProcessResult result =
        Launch("kubernetes", {"--workers", "2", "--image", "i", "--dry-run", flag, value});
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_THAT(result.out + result.err, Not(HasSubstr("hunter2")));
  }
}

// Settings from the environment and a job file go to the workers as flags.
TEST_F(LaunchSubmitTest, SettingsFromEverywhereAreHandedOn) {
  const std::string config = folder_.Write("job.toml", "hooks = [\"resid_post\", \"mlp_out\"]\n");
  Command command = Thresher({"launch", "slurm", "--workers", "2", "--skip-path-check", "--dry-run",
                              "--config", config, "--dataset", "d", "--output", "runs/x"});
  command.environment["MODEL_PATH"] = "/models/M";
  command.environment["UPLOAD_TO_GCS"] = "true";
  command.environment["GCS_BUCKET"] = "bucket";
  command.environment["WORKER_ID"] = "5";
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("\n  --model=/models/M\n"));
  EXPECT_THAT(result.out, HasSubstr("\n  --hooks=resid_post,mlp_out\n"));
  EXPECT_THAT(result.out, HasSubstr("\n  --output=gs://bucket/runs/x\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("--worker-id=5")));
}

}  // namespace
}  // namespace thresher
