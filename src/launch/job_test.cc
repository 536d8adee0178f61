#include "launch/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/kubernetes.h"
#include "launch/skypilot.h"
#include "launch/slurm.h"
#include "launch/tpu_vm.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

LaunchJob Job() {
  return {.name = "first", .workers = 4, .flags = {"--model=M", "--output=gs://bucket/runs/first"}};
}

KubernetesOptions Slices() {
  return {.image = "i",
          .tpu_accelerator = "tpu-v5-lite-podslice",
          .tpu_topology = "2x4",
          .tpu_chips = 4};
}

TEST(JobTest, Names) {
  EXPECT_EQ(JobNameOf("gs://bucket/runs/First_run.2/"), "thresher-first-run-2");
  EXPECT_EQ(JobNameOf("runs/__"), "thresher");
  EXPECT_EQ(JobNameOf(std::string(100, 'x')).size(), 40u);
  for (const char* output : {"", "/", "gs://b", "a-", "-", "\xc3\xa9"}) {
    EXPECT_TRUE(CheckJobName(JobNameOf(output)).ok()) << JobNameOf(output);
  }
  for (const char* name : {"", "A", "1a", "a-", "a_b", "a b", "a\nb", "a;b"}) {
    EXPECT_THAT(CheckJobName(name).message(), StartsWith("--name: ")) << name;
  }
  EXPECT_FALSE(CheckJobName(std::string(41, 'a')).ok());
}

TEST(JobTest, FlagsThatCannotBeHandedOn) {
  EXPECT_TRUE(CheckFlags({"--prompt-end=prefix:a\n\tb", "--dataset=\xc3\xa9"}).ok());
  EXPECT_THAT(CheckFlags({"--dataset=a\rb"}).message(), StartsWith("--dataset: "));
  EXPECT_FALSE(CheckFlags({"--dataset=a\x7f"}).ok());
  EXPECT_FALSE(CheckFlags({"--dataset=\xff"}).ok());
}

TEST(JobTest, SecondsToStopAreMoreThanTheWorkerTakes) {
  // Grace period, and five seconds until it ends at once.
  EXPECT_EQ(SecondsToStop({.stop_grace_ms = 25'000}), 40);
  EXPECT_EQ(SecondsToStop({.stop_grace_ms = 1}), 16);
}

// What an engine reads with its own quoting rules, or none.
TEST(JobTest, HostileOptionsAreRefused) {
  for (const std::string value :
       {"a b", "a\n#SBATCH --uid=0", "a'b", "a\"b", "$(id)", "a#b", ";"}) {
    EXPECT_FALSE(MakeSlurmSubmission(Job(), {.partition = value}).ok()) << value;
    EXPECT_FALSE(MakeSlurmSubmission(Job(), {.sbatch_options = {"--x=" + value}}).ok()) << value;
    EXPECT_FALSE(MakeKubernetesSubmission(Job(), {.image = value}).ok()) << value;
    EXPECT_FALSE(MakeKubernetesSubmission(Job(), {.image = "i", .secrets = {value}}).ok());
    EXPECT_FALSE(MakeKubernetesSubmission(Job(), {.image = "i", .volumes = {"c=/" + value}}).ok());
    EXPECT_FALSE(MakeSkypilotSubmission(Job(), {.image = "i", .infra = value}).ok()) << value;
    EXPECT_FALSE(MakeSkypilotSubmission(Job(), {.image = "i", .secrets = {value}}).ok()) << value;
    EXPECT_FALSE(
        MakeTpuVmSubmission(
            Job(), {.image = "i", .accelerator = value, .runtime_version = "r", .zone = "z"})
            .ok())
        << value;
  }
  EXPECT_FALSE(MakeSlurmSubmission(Job(), {.sbatch_options = {"x"}}).ok());
}

TEST(JobTest, ASecretIsANameAndNoValue) {
  EXPECT_THAT(MakeKubernetesSubmission(Job(), {.image = "i", .secrets = {"KEY=hunter2"}})
                  .status()
                  .message(),
              Not(HasSubstr("hunter2")));
  EXPECT_THAT(
      MakeSkypilotSubmission(Job(), {.image = "i", .secrets = {"KEY=hunter2"}}).status().message(),
      Not(HasSubstr("hunter2")));
}

TEST(JobTest, SlicesOfTpus) {
  const Result<Submission> good = MakeKubernetesSubmission(Job(), Slices());
  ASSERT_TRUE(good.ok());
  EXPECT_THAT(good->text, HasSubstr("replicas: 2\n"));  // 4 workers, 2 machines in a slice

  LaunchJob odd = Job();
  odd.workers = 5;
  EXPECT_THAT(MakeKubernetesSubmission(odd, Slices()).status().message(),
              HasSubstr("--workers: a slice 2x4 has 2 machines"));
  KubernetesOptions options = Slices();
  options.tpu_chips = 3;
  EXPECT_THAT(MakeKubernetesSubmission(Job(), options).status().message(),
              StartsWith("--tpu-chips: "));
  for (const char* topology : {"2", "x", "2x", "0x4", "2x-4", "axb", "99999999999999999999x2"}) {
    options = Slices();
    options.tpu_topology = topology;
    const Result<Submission> submission = MakeKubernetesSubmission(Job(), options);
    EXPECT_FALSE(submission.ok()) << topology;
  }
  options = Slices();
  options.tpu_accelerator = "";
  EXPECT_THAT(MakeKubernetesSubmission(Job(), options).status().message(),
              HasSubstr("belong together"));
}

}  // namespace
}  // namespace thresher
