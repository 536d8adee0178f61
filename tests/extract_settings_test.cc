// Settings of `thresher extract` about what a worker keeps and when it ends, with the real program.

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"

namespace thresher {
namespace {

class ExtractSettingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteSamples(folder_.PathOf("samples.jsonl"), {.count = 40, .shortest = 5, .longest = 20});
  }

  ProcessResult Extract(const std::vector<std::string>& flags) const {
    std::vector<std::string> all = {"--shard-bytes", "100KB"};
    all.insert(all.end(), flags.begin(), flags.end());
    return Extraction{GoldenModel("qwen2"), folder_.PathOf("samples.jsonl"), folder_.PathOf("run"),
                      all}
        .Run();
  }

  // Files of the run's folder whose names begin so.
  std::vector<std::string> FilesOfRun(const std::string& beginning) const {
    std::vector<std::string> found;
    for (const std::string& file : FilesBelow(folder_.PathOf("run"))) {
      if (file.starts_with(beginning)) found.push_back(file);
    }
    return found;
  }

  TemporaryFolder folder_;
};

TEST_F(ExtractSettingsTest, KeepLocalLeavesACopyOfEachShard) {
  const ProcessResult result =
      Extract({"--keep-local", folder_.PathOf("local"), "--worker-id", "4"});
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  const std::vector<std::string> shards = FilesOfRun("tpu_4/");
  ASSERT_GT(shards.size(), 1u);
  EXPECT_EQ(FilesBelow(folder_.PathOf("local")), shards);
  for (const std::string& shard : shards) {
    EXPECT_EQ(ReadFile(folder_.PathOf("local/" + shard)), ReadFile(folder_.PathOf("run/" + shard)));
  }
}

TEST_F(ExtractSettingsTest, DeleteLocalAfterUploadLeavesNone) {
  const ProcessResult result =
      Extract({"--keep-local", folder_.PathOf("local"), "--delete-local-after-upload"});
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_TRUE(FilesBelow(folder_.PathOf("local")).empty());
  EXPECT_TRUE(ReadCompleteRun(folder_.PathOf("run")).ok());
}

TEST_F(ExtractSettingsTest, CopiesInTheRunItselfAreRefused) {
  const ProcessResult result =
      Extract({"--keep-local", folder_.PathOf("run"), "--delete-local-after-upload"});
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_NE(result.err.find("is the folder of a run"), std::string::npos) << result.Describe();
  EXPECT_TRUE(FilesOfRun("commits/").empty());
}

TEST_F(ExtractSettingsTest, AFinishedRunIsLeftAtOnce) {
  ASSERT_EQ(Extract({}).exit_status, 0);
  ASSERT_EQ(FilesOfRun("workers/").size(), 1u);
  const ProcessResult again = Extract({});
  EXPECT_EQ(again.exit_status, 0) << again.Describe();
  EXPECT_NE(again.err.find("the run is complete"), std::string::npos) << again.Describe();
  EXPECT_EQ(FilesOfRun("workers/").size(), 1u) << "no session was begun";
}

TEST_F(ExtractSettingsTest, AFinishedRunWithAMissingCommitIsNotFinished) {
  ASSERT_EQ(Extract({}).exit_status, 0);
  const std::vector<std::string> commits = FilesOfRun("commits/");
  ASSERT_GT(commits.size(), 1u);
  ASSERT_EQ(unlink(folder_.PathOf("run/" + commits[1]).c_str()), 0);
  const ProcessResult again = Extract({});
  EXPECT_EQ(again.exit_status, 0) << again.Describe();
  EXPECT_EQ(FilesOfRun("commits/"), commits);
  EXPECT_TRUE(ReadCompleteRun(folder_.PathOf("run")).ok());
}

TEST_F(ExtractSettingsTest, FailuresInARowMustBePositive) {
  const ProcessResult result = Extract({"--max-failures-in-a-row", "0"});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_NE(result.err.find("--max-failures-in-a-row"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace thresher
