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

}  // namespace
}  // namespace thresher
