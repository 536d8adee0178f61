// What a run ends with, and runs that are merged: with the real program, and with Python as its
// users read them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class FinishTest : public testing::Test {
 protected:
  std::string At(const std::string& name) const { return folder_.path() + "/" + name; }

  // A complete run of so many samples.
  void Extract(const std::string& name, uint64_t seed, std::vector<std::string> flags = {}) const {
    const std::string samples = At(name + ".jsonl");
    WriteSamples(samples, {.count = 12, .shortest = 3, .longest = 9, .seed = seed});
    flags.insert(flags.end(), {"--shard-bytes", "20KB"});
    const ProcessResult result =
        Extraction{
            .model = GoldenModel("qwen2"), .dataset = samples, .output = At(name), .flags = flags}
            .Run();
    ASSERT_EQ(result.exit_status, 0) << result.Describe();
  }

  ProcessResult Merge(const std::vector<std::string>& names, const std::string& output) const {
    std::vector<std::string> arguments = {"merge"};
    for (const std::string& name : names) arguments.push_back(At(name));
    arguments.insert(arguments.end(), {"--output", At(output)});
    return RunProcess(Thresher(arguments));
  }

  ProcessResult Verify(const std::string& name) const {
    return RunProcess(Thresher({"verify", At(name)}));
  }

  void ReadWithPython(const std::string& name) const {
    const std::string python = SourcePath(".cache/venv/bin/python");
    if (!std::filesystem::exists(python)) GTEST_SKIP() << "no " << python;
    Command command;
    command.arguments = {python, SourcePath("tests/read_me_check.py"), At(name)};
    command.environment = {{"PYTHONPATH", SourcePath("python")}};
    const ProcessResult result = RunProcess(command);
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    EXPECT_THAT(result.out, HasSubstr("ok "));
  }

  TemporaryFolder folder_;
};

TEST_F(FinishTest, TheReadmeOfARunCanBeFollowed) {
  for (const char* dtype : {"bf16", "f32", "f16", "int8", "fp8_e4m3"}) {
    SCOPED_TRACE(dtype);
    Extract(dtype, 1, {"--dtype", dtype, "--hooks", "resid_post,mlp_out"});
    ReadWithPython(dtype);
    if (IsSkipped()) return;
  }
}

TEST_F(FinishTest, TheSummarySaysWhatTheRunHolds) {
  Extract("run", 1);
  const Json summary = Json::parse(ReadFile(At("run/summary.json")));
  const Result<RunContent> content = ReadCompleteRun(At("run"));
  ASSERT_TRUE(content.ok());
  // By hand, from the rows themselves.
  double sum = 0;
  double sum_squares = 0;
  int64_t count = 0;
  const std::string hook = content->run.spec.capture.hooks.at(0);
  for (const auto& [sample, rows] : content->Samples()) {
    for (const float value : rows.hooks.at(hook)) {
      sum += value;
      sum_squares += static_cast<double>(value) * value;
      ++count;
    }
  }
  const Json found = summary.at("content").at("hook_points").at(0);
  EXPECT_EQ(found.at("name"), hook);
  EXPECT_EQ(found.at("count"), count);
  EXPECT_NEAR(found.at("mean").get<double>(), sum / static_cast<double>(count), 1e-12);
  EXPECT_NEAR(found.at("norm").get<double>(), std::sqrt(sum_squares), 1e-9);
  EXPECT_EQ(summary.at("content").at("samples").at("stored"), 12);
  EXPECT_EQ(summary.at("work").at("sessions"), 1);
  EXPECT_GT(summary.at("work").at("machine_hours"), 0.0);
  EXPECT_EQ(summary.at("work").at("tokens_computed_in_vain"), 0);

  const ProcessResult inspected = RunProcess(Thresher({"inspect", At("run"), "--json"}));
  EXPECT_EQ(Json::parse(inspected.out).at("finish_files"),
            Json({"manifest.json", "summary.json", "README.md"}));
  EXPECT_EQ(Verify("run").exit_status, 0);
}

TEST_F(FinishTest, AMergedRunIsARunLikeAnyOther) {
  Extract("a", 1);
  Extract("b", 2);
  const ProcessResult merged = Merge({"a", "b"}, "whole");
  ASSERT_EQ(merged.exit_status, 0) << merged.Describe();
  EXPECT_THAT(merged.out, HasSubstr("24 samples"));

  const ProcessResult verified = Verify("whole");
  EXPECT_EQ(verified.exit_status, 0) << verified.Describe();
  std::map<int64_t, SampleContent> expected = ReadCompleteRun(At("a"))->Samples();
  const std::map<int64_t, SampleContent> second = ReadCompleteRun(At("b"))->Samples();
  for (const auto& [sample, rows] : second) expected[12 + sample] = rows;
  const std::map<int64_t, SampleContent> found = ReadCompleteRun(At("whole"))->Samples();
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [sample, rows] : expected) {
    EXPECT_EQ(found.at(sample).token_ids, rows.token_ids) << sample;
    EXPECT_EQ(found.at(sample).hooks, rows.hooks) << sample;
  }
  const ProcessResult cleaned =
      RunProcess(Thresher({"clean", At("whole"), "--older-than", "1ms", "--json"}));
  for (const Json& leftover : Json::parse(cleaned.out).at("leftovers")) {
    EXPECT_EQ(leftover.at("kind"), "heartbeat") << "all else is part of the run";
  }
  ReadWithPython("whole");
}

TEST_F(FinishTest, AMergeThatWasKilledGoesOn) {
  Extract("a", 1);
  Extract("b", 2);
  ASSERT_EQ(Merge({"a", "b"}, "undisturbed").exit_status, 0);
  const std::vector<std::string> files = FilesBelow(At("undisturbed"));
  // Killed when so many objects are there.
  for (size_t kill_after = 1; kill_after < files.size(); kill_after += 5) {
    std::filesystem::remove_all(At("whole"));
    Process process(Thresher({"merge", At("a"), At("b"), "--output", At("whole")}));
    while (!process.HasEnded() && FilesBelow(At("whole")).size() < kill_after) {
      std::this_thread::yield();
    }
    process.Signal(SIGKILL);
    (void)process.Wait();
    ASSERT_EQ(Merge({"a", "b"}, "whole").exit_status, 0);
    for (const std::string& file : files) {
      ASSERT_EQ(ReadFile(At("whole/" + file)), ReadFile(At("undisturbed/" + file))) << file;
    }
  }
}

TEST_F(FinishTest, WhatCannotBeMergedIsRefusedInWords) {
  Extract("a", 1);
  Extract("other", 2, {"--hooks", "mlp_out"});
  const ProcessResult differs = Merge({"a", "other"}, "whole");
  EXPECT_EQ(differs.exit_status, 1);
  EXPECT_THAT(differs.err, HasSubstr("capture.hooks"));
  const ProcessResult same = Merge({"a", "a"}, "whole");
  EXPECT_EQ(same.exit_status, 1);
  EXPECT_THAT(same.err, HasSubstr("is there already"));
  EXPECT_EQ(Merge({"a"}, "whole").exit_status, 2);
  EXPECT_THAT(Merge({"a", "nowhere"}, "whole").err, HasSubstr("no run at"));
  EXPECT_FALSE(std::filesystem::exists(At("whole")));
}

}  // namespace
}  // namespace thresher
