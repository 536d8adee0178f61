// `thresher launch` for engines that have a client of their own. Stand-in clients record what they
// are given; the scripts and manifests are checked by shellcheck and by the engines' own schemas;
// and what they would start is started, with a stand-in for the worker, so that hostile values can
// be followed to where they arrive.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Values that would break out of quotes, expand, or become structure.
const std::vector<std::string> kHostile = {"it's",
                                           "a \"b\" $HOME `id` $(id) ${x}",
                                           "$(JOB_COMPLETION_INDEX)",
                                           "x\nkind: Secret\n- a: b",
                                           "#SBATCH --uid=0\n#SBATCH x",
                                           "back\\slash\\n",
                                           "{{jinja}}",
                                           "'; touch /tmp/x; '",
                                           "\xc3\xa9\xe2\x82\xac",
                                           "EOF\n'EOF'"};

// Records its arguments, each ended by a NUL, in $RECORD/NAME.N.
constexpr const char* kRecorder = R"(#!/bin/bash
name=$(basename "$0")
number=0
while [[ -e $RECORD/$name.$number ]]; do number=$((number + 1)); done
if (($# > 0)); then printf '%s\0' "$@" >"$RECORD/$name.$number"; else : >"$RECORD/$name.$number"; fi
)";

class LaunchSubmitTest : public ::testing::Test {
 protected:
  LaunchSubmitTest() {
    mkdir(folder_.PathOf("bin").c_str(), 0755);
    mkdir(folder_.PathOf("record").c_str(), 0755);
  }

  // A client that records its arguments and then does `what`, a piece of bash.
  void AddStandIn(const std::string& name, const std::string& what = "") const {
    chmod(folder_.Write("bin/" + name, kRecorder + what + "\n").c_str(), 0755);
  }

  // The arguments of the `number`-th call of a stand-in.
  std::vector<std::string> Recorded(const std::string& name, int number = 0) const {
    const std::string path = folder_.PathOf(fmt::format("record/{}.{}", name, number));
    if (access(path.c_str(), F_OK) != 0) return {"never called"};
    const std::string bytes = ReadFile(path);
    std::vector<std::string> words;
    for (size_t begin = 0; begin < bytes.size();) {
      const size_t end = bytes.find('\0', begin);
      words.push_back(bytes.substr(begin, end - begin));
      begin = end + 1;
    }
    return words;
  }

  int CallCount(const std::string& name) const {
    int count = 0;
    while (access(folder_.PathOf(fmt::format("record/{}.{}", name, count)).c_str(), F_OK) == 0) {
      ++count;
    }
    return count;
  }

  Command WithStandIns(Command command) const {
    command.environment["PATH"] = folder_.PathOf("bin") + ":" + std::getenv("PATH");
    command.environment["RECORD"] = folder_.PathOf("record");
    command.folder = folder_.path();
    return command;
  }

  // What is in `flags` takes the place of what stands here.
  ProcessResult Launch(const std::string& engine, const std::vector<std::string>& flags) const {
    std::vector<std::string> arguments = {"launch", engine};
    const std::vector<std::pair<std::string, std::string>> usual = {
        {"--model", "/models/M"}, {"--dataset", "gs://bucket/d"}, {"--output", "gs://bucket/r"}};
    for (const auto& [flag, value] : usual) {
      if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
      arguments.insert(arguments.end(), {flag, value});
    }
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return RunProcess(WithStandIns(Thresher(arguments)));
  }

  ProcessResult Bash(const std::string& script,
                     const std::map<std::string, std::string>& environment = {}) const {
    Command command;
    command.arguments = {"/bin/bash", folder_.Write("script.sh", script)};
    command.environment = environment;
    return RunProcess(WithStandIns(command));
  }

  // The flags of a worker whose --dataset holds `hostile`.
  static std::vector<std::string> WorkerFlags(const std::string& hostile) {
    return {"--model=/models/M", "--dataset=gs://bucket/" + hostile, "--output=gs://bucket/r"};
  }
  static std::vector<std::string> HostileFlags(const std::string& hostile) {
    return {"--workers", "2", "--dataset", "gs://bucket/" + hostile};
  }

  static void ExpectCleanShell(const std::string& script) {
    if (access("/usr/bin/shellcheck", X_OK) != 0) {
      GTEST_SKIP() << "shellcheck is missing: scripts/install_dependencies.sh --ci installs it";
    }
    TemporaryFolder folder;
    // That nothing expands in single quotes (SC2016), and that a single quote is written outside of
    // them (SC1003), is on purpose.
    const ProcessResult result =
        RunProcess({.arguments = {"/usr/bin/shellcheck", "--exclude=SC2016,SC1003",
                                  folder.Write("script.sh", script)}});
    EXPECT_EQ(result.exit_status, 0) << result.Describe() << script;
  }

  TemporaryFolder folder_;
};

std::vector<std::string> Strings(const Json& list) { return list.get<std::vector<std::string>>(); }

std::vector<std::string> Joined(std::vector<std::string> first,
                                const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::string ValidatorPython(const std::string& name) {
  return SourcePath(".cache/validators/" + name + "/bin/python");
}

bool HasValidator(const std::string& name) {
  return access(ValidatorPython(name).c_str(), X_OK) == 0;
}

std::string WhyNoValidator(const std::string& name) {
  return "the validator " + name + " is missing: scripts/fetch_validators.sh installs it";
}

// --- Slurm
// -----------------------------------------------------------------------------------------

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
    return Bash(script, {{"SLURM_ARRAY_TASK_ID", "1"}, {"SLURM_JOB_ID", "7"}});
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
      EXPECT_THAT(Recorded("scontrol", questions + 1), ElementsAre("requeue", "7"));
    }
    starts = CallCount("worker");
    questions = CallCount("scontrol");
  }
}

// --- Kubernetes
// ------------------------------------------------------------------------------------

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
// -----------------------------------------------------------------------------

TEST(ContainerfileTest, HadolintFindsNothing) {
  if (!HasValidator("manifests")) GTEST_SKIP() << WhyNoValidator("manifests");
  const ProcessResult result =
      RunProcess({.arguments = {SourcePath(".cache/validators/manifests/bin/hadolint"),
                                SourcePath("deploy/Containerfile")}});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
}

// --- every engine on other machines
// ----------------------------------------------------------------

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

// --- TPU machines
// ----------------------------------------------------------------------------------

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
// --------------------------------------------------------------------------------------

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
