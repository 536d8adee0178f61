// `thresher status` as people and scripts meet it, on a run of the real program.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// A worker that died without a word after it had made the last unit.
TEST(StatusCommandTest, NobodyRunsInAFinishedRun) {
  TemporaryFolder folder;
  const std::string samples = folder.path() + "/samples.jsonl";
  const std::string output = folder.path() + "/run";
  WriteSamples(samples, {.count = 6, .shortest = 20, .longest = 40, .seed = 2});
  const Extraction extraction{.model = GoldenModel("qwen2"), .dataset = samples, .output = output};
  ASSERT_EQ(extraction.Run().exit_status, 0);
  std::string heartbeat;
  for (const std::string& file : FilesBelow(output)) {
    if (file.starts_with("workers/")) heartbeat = output + "/" + file;
  }
  std::string text = ReadFile(heartbeat);
  const size_t state = text.find("\"stopped\"");
  ASSERT_NE(state, std::string::npos) << text;
  WriteFile(heartbeat, text.replace(state, 9, "\"running\""));

  const ProcessResult just_now = RunProcess(Thresher({"status", output}));
  EXPECT_EQ(just_now.exit_status, 0) << just_now.Describe();
  EXPECT_THAT(just_now.out, HasSubstr("state      complete"));
  EXPECT_THAT(just_now.out, HasSubstr("  ending  "));
  EXPECT_THAT(just_now.out, Not(HasSubstr("running")));

  // Two minutes are less than the time to live, and more than heartbeats are apart.
  std::filesystem::last_write_time(
      heartbeat, std::filesystem::last_write_time(heartbeat) - std::chrono::minutes(2));
  EXPECT_THAT(RunProcess(Thresher({"status", output})).out, HasSubstr("  lost  "));
  const Json json = Json::parse(RunProcess(Thresher({"status", output, "--json"})).out);
  EXPECT_EQ(json["workers"][0]["alive"], false);
}

// A run with one unit missing whose last sign of life is an hour old.
class StuckRunTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string samples = folder_.path() + "/samples.jsonl";
    WriteSamples(samples, {.count = 6, .shortest = 20, .longest = 40, .seed = 2});
    const Extraction extraction{.model = GoldenModel("qwen2"),
                                .dataset = samples,
                                .output = Output(),
                                .flags = {"--shard-bytes", "20KB"}};
    ASSERT_EQ(extraction.Run().exit_status, 0);
  }

  void LoseAUnit() {
    std::filesystem::remove(Output() + "/commits/unit-000001.json");
    for (const std::string& file : FilesBelow(Output())) {
      const std::string path = Output() + "/" + file;
      if (file.starts_with("index/")) {
        std::filesystem::remove(path);
      } else {
        std::filesystem::last_write_time(
            path, std::filesystem::last_write_time(path) - std::chrono::hours(1));
      }
    }
  }

  ProcessResult Status(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"status", Output()});
    return RunProcess(Thresher(flags));
  }

  std::string Output() const { return folder_.path() + "/run"; }

  TemporaryFolder folder_;
};

TEST_F(StuckRunTest, FailIfStuckEndsWithStatus4) {
  EXPECT_EQ(Status({"--fail-if-stuck", "1s", "--quiet"}).exit_status, 0);  // complete
  LoseAUnit();
  const ProcessResult stuck = Status({"--fail-if-stuck", "10m", "--quiet"});
  EXPECT_EQ(stuck.exit_status, 4) << stuck.Describe();
  EXPECT_EQ(stuck.out, "");
  EXPECT_THAT(stuck.err, HasSubstr("is stuck: no unit has been finished for 1h"));
  EXPECT_EQ(Status({"--fail-if-stuck", "2h"}).exit_status, 0);
  EXPECT_EQ(Status({"--fail-if-stuck", "soon"}).exit_status, 2);
  const ProcessResult text = Status({});
  EXPECT_EQ(text.exit_status, 0);
  EXPECT_THAT(text.out, HasSubstr("state      incomplete"));
  EXPECT_THAT(text.out, HasSubstr("ThresherNoWorkers (critical): 1 units are missing"));
  EXPECT_THAT(text.out, HasSubstr("ThresherRunStuck (critical)"));
}

TEST_F(StuckRunTest, WatchEndsWithTheRunAndMoneyIsCounted) {
  const ProcessResult watched = Status({"--watch", "--interval", "1s"});
  EXPECT_EQ(watched.exit_status, 0) << watched.Describe();
  EXPECT_THAT(watched.out, HasSubstr("machine hours; what they cost: give --machine NAME"));
  const Json json = Json::parse(Status({"--json", "--machine", "tpu-v5e", "--spot"}).out);
  EXPECT_EQ(json["cost"]["machine"], "tpu-v5e, spot");
  EXPECT_EQ(json["totals_from"], "commits");
  EXPECT_EQ(json["samples_stored"], 6);
  EXPECT_GT(json["workers"][0]["bytes_uploaded"], 0);
  EXPECT_EQ(Status({"--machine", "abacus"}).exit_status, 2);
  EXPECT_EQ(Status({"--spot"}).exit_status, 2);
}

}  // namespace
}  // namespace thresher
