// `thresher bench` with the real program: its figures exist and agree with each other.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;

ProcessResult Bench(const Texts& flags) {
  Texts arguments = {"bench"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return RunProcess(Thresher(arguments));
}

Json Figures(Texts flags) {
  flags.insert(flags.end(), {"--json", "--quiet", "--repeat", "2"});
  const ProcessResult result = Bench(flags);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(result.err, "");
  return Json::parse(result.out);
}

TEST(BenchTest, FiguresOfARandomModel) {
  const Json figures = Figures({"--shape", "tiny", "--lengths", "100,33,1", "--dtype", "int8"});
  EXPECT_EQ(figures.at("tokens"), 134);
  EXPECT_EQ(figures.at("sequences"), 3);
  EXPECT_EQ(figures.at("batches"), 1);
  // Two layers of 96 bytes and a scale.
  EXPECT_EQ(figures.at("stored_bytes"), 134 * 2 * (96 + 4));
  ASSERT_EQ(figures.at("pass_seconds").size(), 2u);
  const auto seconds = figures.at("pass_seconds").get<std::vector<double>>();
  const double best = *std::ranges::min_element(seconds);
  EXPECT_DOUBLE_EQ(figures.at("tokens_per_second"), 134 / best);
  EXPECT_DOUBLE_EQ(figures.at("fraction_of_gemm_peak").get<double>() *
                       figures.at("gemm_peak_gflops_per_second").get<double>(),
                   figures.at("gflops_per_second"));
  EXPECT_GE(figures.at("gemm_peak_gflops_per_second"),
            figures.at("onednn_gemm_peak_gflops_per_second"));
  double shares = 0;
  for (const auto& [name, share] : figures.at("time_shares").items()) {
    EXPECT_GE(share.get<double>(), 0) << name;
    shares += share.get<double>();
  }
  EXPECT_NEAR(shares, 1, 0.05);
  EXPECT_GT(figures.at("time_shares").at("linear"), 0);
  EXPECT_GT(figures.at("peak_memory_bytes"), figures.at("packed_weight_bytes"));
  EXPECT_TRUE(figures.at("disk_bytes_per_second").is_null());
}

TEST(BenchTest, SequencesArePackedIntoBatches) {
  const Json figures =
      Figures({"--shape", "tiny", "--lengths", "60,60,60", "--batch-tokens", "120"});
  EXPECT_EQ(figures.at("batches"), 2);
}

TEST(BenchTest, RealWeightsAndSamples) {
  const TemporaryFolder folder;
  const std::string dataset = folder.Write(
      "d.jsonl", "{\"token_ids\": [1, 2, 3]}\n{\"token_ids\": [4]}\n{\"token_ids\": [5]}\n");
  const Json figures =
      Figures({"--model", GoldenModel("qwen2"), "--dataset", dataset, "--max-samples", "2"});
  EXPECT_EQ(figures.at("tokens"), 4);
  const Json random = Figures({"--model", GoldenModel("qwen2"), "--lengths", "7"});
  EXPECT_EQ(random.at("tokens"), 7);
}

TEST(BenchTest, WritesAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  const Json figures = Figures(
      {"--shape", "tiny", "--lengths", "9,9", "--batch-tokens", "9", "--write", folder.path()});
  EXPECT_GT(figures.at("disk_bytes_per_second"), 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const ProcessResult nowhere =
      Bench({"--shape", "tiny", "--lengths", "9", "--write", folder.path() + "/none"});
  EXPECT_EQ(nowhere.exit_status, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("--write " + folder.path() + "/none: no file can be made"));
}

TEST(BenchTest, TextForPeople) {
  const ProcessResult result = Bench({"--shape", "tiny", "--lengths", "40", "--repeat", "1"});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  for (const char* part :
       {"tiny, random weights", " tokens/s", "GEMM peak", "linear ", "memory "}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
  EXPECT_THAT(result.err, HasSubstr("pass 1 of 1"));
}

TEST(BenchTest, WrongUsage) {
  const std::pair<Texts, std::string> cases[] = {
      {{"--shape", "huge"}, "--shape: expected one of qwen2.5-0.5b, "},
      {{"--shape", "tiny", "--model", "m"}, "--shape: it is of a model with random weights"},
      {{"--dataset", "d.jsonl"}, "--dataset: its texts need a model's tokenizer"},
      {{"--engine", "xla-cpu", "--write", "/tmp"}, "--write: only the engine cpu is measured with"},
      {{"--lengths", "0"}, "--lengths: expected numbers from 1, found 0"},
      {{"--repeat", "0"}, "--repeat: expected a number from 1, found 0"},
      {{"--model", "m", "--dataset", "d", "--lengths", "1"}, "--lengths: they are of random"},
  };
  for (const auto& [flags, part] : cases) {
    const ProcessResult result = Bench(flags);
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_THAT(result.err, HasSubstr(part));
  }
}

}  // namespace
}  // namespace thresher
