// `thresher doctor` as people and scripts meet it, on a local folder.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/loopback_server_for_test.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

TEST(DoctorCommandTest, AGoodFolderPassesAndIsLeftAsItWas) {
  TemporaryFolder folder;
  folder.Write("mine", "untouched");
  const ProcessResult result =
      RunProcess(Thresher({"doctor", folder.path(), "--bytes", "1MB", "--thorough"}));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("\u2713 create-race"));
  EXPECT_THAT(result.out, HasSubstr("a run would work in file://" + folder.path()));
  EXPECT_THAT(result.out, testing::Not(HasSubstr("\u2717")));
  EXPECT_EQ(FilesBelow(folder.path()), std::vector<std::string>{"mine"});
}

TEST(DoctorCommandTest, JsonForScripts) {
  TemporaryFolder folder;
  const ProcessResult result = RunProcess(
      Thresher({"doctor", "file://" + folder.path() + "/new", "--bytes", "1MB", "--json"}));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["checks"][0]["name"], "reach");
  EXPECT_EQ(json["checks"][0]["verdict"], "good");
  EXPECT_GT(json["latency_ms"]["put"]["median"], 0);
  EXPECT_GT(json["bytes_per_second"]["up, one stream"], 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "the folder that it made is gone too";
}

TEST(DoctorCommandTest, AFolderThatCannotBeMadeSaysWhatToDo) {
  TemporaryFolder folder;
  folder.Write("file", "no folder");
  const ProcessResult result =
      RunProcess(Thresher({"doctor", folder.path() + "/file/below", "--bytes", "1MB"}));
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("\u2717 write"));
  EXPECT_THAT(result.out, HasSubstr("->"));
  EXPECT_THAT(result.out, HasSubstr("a run would not work"));
}

// Port 9 is "discard", where nobody listens these days.
TEST(DoctorCommandTest, AServerThatIsDownIsToldSoon) {
  const std::string flags = " --store-endpoint http://127.0.0.1:9 --store-anonymous";
  const ProcessResult result =
      RunProcess(Thresher({"doctor", "gs://bucket/runs", "--store-endpoint", "http://127.0.0.1:9",
                           "--store-anonymous"}));
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("\u2717 reach                  no answer: "));
  EXPECT_THAT(result.out, HasSubstr("a run would not work in gs://bucket/runs" + flags));
  EXPECT_THAT(result.out, testing::Not(HasSubstr("delete")));
  EXPECT_LT(result.elapsed_ms, 60'000) << "the retry budget is two minutes a call";
}

// Without a region in the environment AWS is asked for the bucket's; here nobody answers.
TEST(DoctorCommandTest, ABucketsRegionThatCannotBeFoundIsAskedFor) {
  Command command = Thresher({"doctor", "s3://no-such-bucket/run"});
  for (const char* variable : {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "NO_PROXY"}) {
    command.environment[variable] = "";
  }
  command.environment["HTTPS_PROXY"] = "http://127.0.0.1:9";
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.out + result.err,
              HasSubstr("cannot find the region of bucket \"no-such-bucket\""));
  EXPECT_THAT(result.out + result.err, HasSubstr("set AWS_REGION"));
}

TEST(DoctorCommandTest, ASilentServerIsWaitedForAloud) {
  const LoopbackServer server([](const ReceivedRequest&, int) -> ServerAction {
    return {.send = "", .stall_after = true};
  });
  const ProcessResult result =
      RunProcess(Thresher({"doctor", "gs://bucket/runs", "--store-endpoint", server.url(),
                           "--store-anonymous", "--store-timeout", "6s"}));
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("\u2717 reach"));
  EXPECT_THAT(result.err, HasSubstr("... waiting for the first answer of gs://bucket/runs"));
  EXPECT_LT(result.elapsed_ms, 60'000) << "the retry budget is two minutes a call";
}

TEST(DoctorCommandTest, WrongUsageIsToldApart) {
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{{"--bytes", "much"},
                                             {"--part-bytes", "1KB"},
                                             {"--upload-parallelism", "0"},
                                             {"--store-timeout", "soon"},
                                             {"--upload-rate", "-1"},
                                             {"--store-endpoint", "127.0.0.1:9000"}}) {
    std::vector<std::string> arguments = {"doctor", "memory:"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const ProcessResult result = RunProcess(Thresher(arguments));
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_THAT(result.err, HasSubstr(flags[0]));
  }
  EXPECT_EQ(RunProcess(Thresher({"doctor", "ftp://host/folder"})).exit_status, 2);
}

TEST(DoctorCommandTest, StoreSettingsComeFromTheEnvironmentToo) {
  Command command = Thresher({"doctor", "memory:", "--bytes", "1MB"});
  command.environment["THRESHER_PART_BYTES"] = "1KB";
  const ProcessResult refused = RunProcess(command);
  EXPECT_EQ(refused.exit_status, 2) << refused.Describe();
  EXPECT_THAT(refused.err, HasSubstr("--part-bytes"));
  command.arguments.insert(command.arguments.end(), {"--part-bytes", "0"});
  EXPECT_EQ(RunProcess(command).exit_status, 0) << "the flag wins over the environment";
}

TEST(DoctorCommandTest, AnInterruptLeavesNothingBehind) {
  TemporaryFolder folder;
  Process process(Thresher({"doctor", folder.path(), "--bytes", "200MB", "--thorough"}));
  while (!process.HasEnded() && FilesBelow(folder.path()).empty()) PassMilliseconds(1);
  process.Signal(SIGINT);
  const ProcessResult result = process.Wait();
  EXPECT_EQ(result.exit_status, 75) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("interrupted"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace thresher
