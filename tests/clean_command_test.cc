// `thresher clean` as people and scripts meet it: on a run of the real program with leftovers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::Contains;
using testing::HasSubstr;

class CleanCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteSamples(Samples(), {.count = 12, .shortest = 20, .longest = 40, .seed = 2});
    ASSERT_EQ(Extract().exit_status, 0);
  }

  std::string Samples() const { return folder_.path() + "/samples.jsonl"; }
  std::string Output() const { return folder_.path() + "/run"; }
  ProcessResult Extract() const {
    return Extraction{.model = GoldenModel("qwen2"),
                      .dataset = Samples(),
                      .output = Output(),
                      .flags = {"--shard-bytes", "50KB"}}
        .Run();
  }
  ProcessResult Clean(std::vector<std::string> flags) const {
    std::vector<std::string> arguments = {"clean", Output()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return RunProcess(Thresher(arguments));
  }
  ProcessResult Verify() const {
    return RunProcess(Thresher({"verify", Output(), "--recompute", "0"}));
  }

  // As a killed worker leaves it, two hours ago.
  void WriteOld(const std::string& name, const std::string& bytes) const {
    const std::string path = Output() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    WriteFile(path, bytes);
    std::filesystem::last_write_time(
        path, std::filesystem::last_write_time(path) - std::chrono::hours(2));
  }

  TemporaryFolder folder_;
};

TEST_F(CleanCommandTest, LeftoversGoAndTheRunStays) {
  WriteOld("tpu_9/unit-000000-e1-0000000000000001.safetensors", "a duplicate");
  WriteOld("tpu_9/.tmp-abc", "half a shard");
  WriteOld("handovers/unit-000001-e1.json", "{}");
  const std::vector<std::string> before = FilesBelow(Output());

  const ProcessResult seen = Clean({"--json"});
  EXPECT_EQ(seen.exit_status, 0) << seen.Describe();
  const Json json = Json::parse(seen.out);
  EXPECT_EQ(json["removed"], false);
  EXPECT_EQ(json["count"], 3);
  EXPECT_EQ(json["bytes"], 25);
  EXPECT_EQ(FilesBelow(Output()), before) << "a dry run";

  const ProcessResult removed = Clean({"--delete"});
  EXPECT_EQ(removed.exit_status, 0) << removed.Describe();
  EXPECT_THAT(removed.out, HasSubstr("3 objects, 25 B removed"));
  EXPECT_THAT(removed.out, HasSubstr("unit 0 is committed with another shard"));
  EXPECT_EQ(FilesBelow(Output()).size(), before.size() - 3);
  EXPECT_THAT(Clean({}).out, HasSubstr("nothing to remove"));
  EXPECT_EQ(Verify().exit_status, 0);
}

TEST_F(CleanCommandTest, AReopenedUnitIsMadeAgain) {
  const Result<RunContent> whole = ReadCompleteRun(Output());
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  ASSERT_GE(whole->units.size(), 2u);
  const std::string shard = Output() + "/" + whole->units[1].commit.shard;
  WriteFile(shard, "damaged");
  const ProcessResult damaged = Verify();
  EXPECT_EQ(damaged.exit_status, 1);
  EXPECT_THAT(damaged.out, HasSubstr("(" + whole->units[1].commit.shard + ")"));
  EXPECT_THAT(damaged.out,
              HasSubstr("thresher clean file://" + Output() + " --reopen 1, and start"));

  const ProcessResult reopened = Clean({"--reopen", "1"});
  EXPECT_EQ(reopened.exit_status, 0) << reopened.Describe();
  EXPECT_THAT(reopened.out, HasSubstr("unit 1 is open again"));
  EXPECT_THAT(FilesBelow(Output()), testing::Not(Contains("manifest.json")));
  ASSERT_EQ(Extract().exit_status, 0);
  EXPECT_EQ(Verify().exit_status, 0);
  const Result<RunContent> repaired = ReadCompleteRun(Output());
  ASSERT_TRUE(repaired.ok()) << repaired.status().message();
  EXPECT_EQ(DifferenceBetween(*whole, *repaired), "");
}

TEST_F(CleanCommandTest, WrongUsageIsToldApart) {
  EXPECT_EQ(Clean({"--older-than", "ages"}).exit_status, 2);
  EXPECT_EQ(Clean({"--delete", "--reopen", "1"}).exit_status, 2);
  for (const char* units : {"one", "1,abc", "-1", "1.5", "99999999999999999999", "unit-000001"}) {
    const ProcessResult refused = Clean({"--reopen", units});
    EXPECT_EQ(refused.exit_status, 2) << refused.Describe();
    EXPECT_THAT(refused.err, HasSubstr("--reopen: expected the numbers of units, such as 17,204"));
  }
  EXPECT_EQ(Clean({"--reopen", "999999"}).exit_status, 1);
  const ProcessResult no_run = RunProcess(Thresher({"clean", folder_.path()}));
  EXPECT_EQ(no_run.exit_status, 1);
  EXPECT_THAT(no_run.err, HasSubstr("no run at"));
}

}  // namespace
}  // namespace thresher
