// Where `thresher extract` sends a run, and how it reaches the store: the first users' variables
// and the settings that every command shares.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::Not;

class StoreSettingsTest : public testing::Test {
 protected:
  void SetUp() override { WriteSamples(Samples(), {.count = 6, .shortest = 20, .longest = 40}); }

  std::string Samples() const { return folder_.path() + "/samples.jsonl"; }
  Command Extract(const std::string& output, const std::vector<std::string>& flags = {}) const {
    Command command =
        Extraction{
            .model = GoldenModel("qwen2"), .dataset = Samples(), .output = output, .flags = flags}
            .ToCommand();
    command.folder = folder_.path();
    return command;
  }

  TemporaryFolder folder_;
};

TEST_F(StoreSettingsTest, UploadToGcsPutsARelativeFolderIntoTheBucket) {
  Command command = Extract("./runs//first/", {"--store-endpoint", "http://127.0.0.1:9",
                                               "--store-anonymous", "--retry-budget", "0"});
  command.environment["UPLOAD_TO_GCS"] = "True";
  command.environment["GCS_BUCKET"] = "gs://bucket/";
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 1) << "nobody listens there: " << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("gs://bucket/runs/first"));
}

TEST_F(StoreSettingsTest, UploadToGcsNeedsABucketAndAFolderInIt) {
  struct Case {
    const char* output;
    const char* upload;
    const char* bucket;
    const char* message;
  };
  for (const Case& c : {Case{"runs/first", "true", "", "GCS_BUCKET is not"},
                        Case{"/absolute", "1", "bucket", "a folder in bucket bucket"},
                        Case{"../above", "yes", "bucket", "a folder in bucket bucket"},
                        Case{"runs/first", "perhaps", "bucket", "expected true or false"}}) {
    Command command = Extract(c.output);
    command.environment["UPLOAD_TO_GCS"] = c.upload;
    command.environment["GCS_BUCKET"] = c.bucket;
    const ProcessResult result = RunProcess(command);
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_THAT(result.err, HasSubstr(c.message));
  }
}

TEST_F(StoreSettingsTest, WithoutUploadToGcsTheBucketIsNotUsed) {
  Command command = Extract("run");
  command.environment["UPLOAD_TO_GCS"] = "false";
  command.environment["GCS_BUCKET"] = "bucket";
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/run/run.json"));
}

TEST_F(StoreSettingsTest, ShardSizeGbIsInGigabytes) {
  Command command = Extract("run");
  command.environment["SHARD_SIZE_GB"] = "0.00005";
  ASSERT_EQ(RunProcess(command).exit_status, 0);
  EXPECT_THAT(ReadFile(folder_.path() + "/run/run.json"), HasSubstr("50000"));
  command = Extract("other", {"--shard-bytes", "60KB"});
  command.environment["SHARD_SIZE_GB"] = "0.00005";
  ASSERT_EQ(RunProcess(command).exit_status, 0);
  EXPECT_THAT(ReadFile(folder_.path() + "/other/run.json"), HasSubstr("60000"));
}

TEST_F(StoreSettingsTest, EveryCommandOffersThem) {
  for (const char* command : {"extract", "status", "verify", "inspect", "doctor", "clean"}) {
    const ProcessResult help = RunProcess(Thresher({command, "--help"}));
    for (const char* flag :
         {"--store-endpoint", "--store-anonymous", "--part-bytes", "--upload-parallelism",
          "--store-timeout", "--retry-budget", "--upload-rate"}) {
      EXPECT_THAT(help.out, HasSubstr(flag)) << command;
    }
    EXPECT_THAT(help.out, HasSubstr("gs://bucket")) << command;
    if (std::string(command) == "extract") continue;
    const ProcessResult refused =
        RunProcess(Thresher({command, "memory:", "--upload-rate", "fast"}));
    EXPECT_EQ(refused.exit_status, 2) << refused.Describe();
    EXPECT_THAT(refused.err, HasSubstr("--upload-rate"));
  }
}

TEST_F(StoreSettingsTest, SecretsInAddressesAreRefusedAndNotRepeated) {
  const std::vector<std::string> cases[] = {
      {"az://c/x?sv=2020&sig=SECRET"},
      {"s3://AKIAX:SECRET@bucket/run"},
      {"s3://bucket/run", "--store-endpoint", "user:SECRET@127.0.0.1:9"},
      {"s3://bucket/run", "--store-endpoint", "http://user:SECRET@127.0.0.1:9"},
      {"s3://bucket/run", "--store-endpoint", "http://127.0.0.1:9/?sig=SECRET"},
  };
  for (const char* command : {"status", "doctor"}) {
    for (std::vector<std::string> arguments : cases) {
      arguments.insert(arguments.begin(), {command, "--retry-budget", "0", "--store-anonymous"});
      const ProcessResult result = RunProcess(Thresher(arguments));
      EXPECT_NE(result.exit_status, 0) << result.Describe();
      EXPECT_THAT(result.err, HasSubstr("user information")) << result.Describe();
      EXPECT_THAT(result.out + result.err, Not(HasSubstr("SECRET")));
    }
  }
}

TEST_F(StoreSettingsTest, PartsAreNoLargerThanCloudsTake) {
  const ProcessResult refused =
      RunProcess(Thresher({"doctor", "memory:", "--part-bytes", "100GB", "--thorough"}));
  EXPECT_EQ(refused.exit_status, 2) << refused.Describe();
  EXPECT_THAT(refused.err, HasSubstr("--part-bytes"));
  EXPECT_THAT(refused.err, HasSubstr("5GiB"));
}

TEST_F(StoreSettingsTest, TheFileHasThemToo) {
  const std::string config = folder_.Write("job.toml", "part-bytes = \"1KB\"\n");
  const ProcessResult refused = RunProcess(Extract("run", {"--config", config}));
  EXPECT_EQ(refused.exit_status, 2) << refused.Describe();
  EXPECT_THAT(refused.err, HasSubstr("--part-bytes"));
}

}  // namespace
}  // namespace thresher
