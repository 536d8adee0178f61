// deploy/launch_worker.sh and deploy/example_workflow.sh: how the first users' scripts did it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"
#include "servers.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kSampleCount = 120;

class ExampleWorkflowTest : public ::testing::Test {
 protected:
  ExampleWorkflowTest() {
    WriteSamples(folder_.PathOf("samples.jsonl"),
                 {.count = kSampleCount, .shortest = 5, .longest = 20});
  }

  // A script of deploy/ with the variables of those who use it.
  Command Script(const std::string& name, const std::vector<std::string>& flags = {}) const {
    Command command = Thresher({});
    command.arguments = {"/bin/bash", SourcePath("deploy/" + name)};
    command.arguments.insert(command.arguments.end(), flags.begin(), flags.end());
    command.folder = folder_.path();
    command.environment["THRESHER_PROGRAM"] = ThresherPath();
    command.environment["MODEL_PATH"] = GoldenModel("qwen2");
    command.environment["THRESHER_COMPUTE"] = "f32";
    command.environment["THRESHER_SHARD_BYTES"] = "128KB";
    command.environment["THRESHER_THREADS"] = "1";
    command.environment["THRESHER_LEASE_TTL"] = "3s";
    return command;
  }

  // The whole workflow with three workers.
  Command Workflow() const {
    Command command = Script("example_workflow.sh");
    command.environment["DATASET"] = folder_.PathOf("samples.jsonl");
    command.environment["NUM_WORKERS"] = "3";
    return command;
  }

  TemporaryFolder folder_;
};

TEST_F(ExampleWorkflowTest, IntoALocalFolder) {
  if (access("/usr/bin/jq", X_OK) != 0) {
    GTEST_SKIP() << "jq is missing: scripts/install_dependencies.sh --ci installs it";
  }
  const ProcessResult result = RunProcess(Workflow());
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  for (int worker = 0; worker < 3; ++worker) {
    EXPECT_THAT(result.out, HasSubstr("worker " + std::to_string(worker) + ": completed, "));
  }
  const Result<RunContent> content = ReadCompleteRun(folder_.PathOf("activations"));
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), static_cast<size_t>(kSampleCount));
}

TEST_F(ExampleWorkflowTest, IntoABucket) {
  if (access("/usr/bin/jq", X_OK) != 0) {
    GTEST_SKIP() << "jq is missing: scripts/install_dependencies.sh --ci installs it";
  }
  const std::string missing = WhyServerIsMissing(ServerKind::kFakeGcs);
  if (!missing.empty()) GTEST_SKIP() << missing;
  Server server(ServerKind::kFakeGcs);
  ASSERT_TRUE(server.Start().ok());
  Command command = Workflow();
  for (const auto& [name, value] : server.Environment()) command.environment[name] = value;
  // --name value, --switch
  const std::vector<std::string> flags = server.Flags();
  for (size_t i = 0; i < flags.size(); ++i) {
    std::string name = "THRESHER_" + flags[i].substr(2);
    for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
    const bool has_value = i + 1 < flags.size() && !flags[i + 1].starts_with("--");
    command.environment[name] = has_value ? flags[++i] : "true";
  }
  const std::string url = server.Url("activations");
  command.environment["UPLOAD_TO_GCS"] = "true";
  command.environment["GCS_BUCKET"] = url.substr(0, url.rfind('/'));
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  const Result<std::unique_ptr<Store>> store = server.Open("activations");
  ASSERT_TRUE(store.ok());
  const Result<RunContent> content = ReadCompleteRun(**store);
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), static_cast<size_t>(kSampleCount));
}

TEST_F(ExampleWorkflowTest, OneWorkerByItsVariables) {
  Command command = Script("launch_worker.sh", {"--max-samples", "50"});
  command.environment["DATASET_DIR"] = folder_.PathOf("samples.jsonl");
  command.environment["TPU_WORKER_ID"] = "5";
  command.environment["NUM_WORKERS"] = "8";
  command.environment["BATCH_SIZE"] = "4";
  command.environment["MAX_SEQ_LENGTH"] = "16";
  command.environment["SHARD_SIZE_GB"] = "0.001";
  command.environment["THRESHER_SHARD_BYTES"] = "";
  command.environment["OUTPUT_DIR"] = "out";
  command.environment["CHECKPOINT_DIR"] = "progress";
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(FilesBelow(folder_.PathOf("progress")),
              testing::ElementsAre("checkpoint_worker_5.json"));
  EXPECT_FALSE(FilesBelow(folder_.PathOf("out/tpu_5")).empty());
  const Result<RunContent> content = ReadCompleteRun(folder_.PathOf("out"));
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), 50u);
  EXPECT_EQ(content->run.spec.capture.batch_tokens, 64);
  EXPECT_EQ(content->run.spec.shard_bytes, 1'000'000);
}

TEST_F(ExampleWorkflowTest, SaysWhichVariableIsMissing) {
  Command command = Script("launch_worker.sh");
  EXPECT_THAT(RunProcess(command).err, HasSubstr("DATASET_DIR is not set"));
  command.environment["MODEL_PATH"] = "";
  const ProcessResult no_model = RunProcess(command);
  EXPECT_EQ(no_model.exit_status, 2);
  EXPECT_THAT(no_model.err, HasSubstr("MODEL_PATH is not set"));
  command.environment["THRESHER_PROGRAM"] = "/no/such/program";
  EXPECT_THAT(RunProcess(command).err, AllOf(HasSubstr("there is no program /no/such/program"),
                                             HasSubstr("THRESHER_PROGRAM")));
}

}  // namespace
}  // namespace thresher
