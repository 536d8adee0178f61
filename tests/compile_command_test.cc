#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "extraction.h"
#include "files.h"
#include "plugins/plugin_library.h"
#include "process.h"

// `thresher compile`, as a user calls it, with the plug-in of .cache/plugins.

namespace thresher {
namespace {

using testing::HasSubstr;

std::string PluginFolder() { return SourcePath(".cache/plugins"); }

ProcessResult Compile(const std::vector<std::string>& flags,
                      const std::string& plugins = PluginFolder()) {
  std::vector<std::string> arguments = {"compile"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  Command command = Thresher(arguments);
  command.environment["THRESHER_PLUGINS"] = plugins;
  return RunProcess(command);
}

class CompileCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    const Result<std::string> libtpu = FindPlugin("tpu", PluginFolder());
    if (!libtpu.ok()) GTEST_SKIP() << libtpu.status().message();
  }
};

// The goals of the accelerators: little work that is not useful, memory that fits, compiled soon.
TEST_F(CompileCommandTest, ALargeModelOnFourSmallChips) {
  const ProcessResult result = Compile({"--target", "tpu:v5e:2x2", "--shape", "qwen2.5-7b",
                                        "--chips", "4", "--batch-tokens", "2048", "--json"});
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  const nlohmann::json json = nlohmann::json::parse(result.out)[0];
  EXPECT_EQ(json["target"], "tpu:v5e:2x2");
  EXPECT_EQ(json["batch_tokens"], 2048);
  EXPECT_EQ(json["layer_loop_iterations"], 28);
  EXPECT_EQ(json["chips_a_batch"], 4);
  const double ratio = json["counted_over_useful_flops"];
  EXPECT_GT(ratio, 1.0);
  EXPECT_LE(ratio, 1.05);
  // All weights but the embedding table, in bf16, a quarter on each chip.
  const double weights = 28.0 * 2 * (2 * 3584 * 3584 + 2 * 512 * 3584 + 3 * 3584 * 18944.0) / 4;
  EXPECT_NEAR(json["memory"]["arguments_bytes"].get<double>(), weights, 0.03 * weights);
  EXPECT_LE(json["memory"]["two_batches_in_flight_bytes"], json["chip"]["memory_bytes"]);
  EXPECT_EQ(json["results_bytes"], 28.0 * 2048 * 3584 * 2);
  EXPECT_GT(json["chip_link_bytes"], 0);
  EXPECT_GT(json["chip_tokens_per_second"], 0);
}

// Rows of selected tokens are picked on the chip: about as many as are stored cross.
TEST_F(CompileCommandTest, SelectedTokens) {
  const auto rows = [](const std::vector<std::string>& flags) -> int64_t {
    std::vector<std::string> all = {
        "--target",       "tpu:v5e:2x2", "--model", GoldenModel("qwen2"),
        "--batch-tokens", "1024",        "--json"};
    all.insert(all.end(), flags.begin(), flags.end());
    const ProcessResult result = Compile(all);
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    if (result.exit_status != 0) return 0;
    const nlohmann::json json = nlohmann::json::parse(result.out)[0];
    const int64_t found = json["result_rows"];
    EXPECT_EQ(json["results_bytes"], static_cast<double>(found) * 3 * 64 * 2);  // of all layers
    return found;
  };
  EXPECT_EQ(rows({"--tokens", "every:4", "--sequence-tokens", "100"}), 288);
  EXPECT_EQ(rows({"--tokens", "last", "--sequence-tokens", "100", "--chips", "2"}), 32);
  EXPECT_EQ(rows({"--tokens", "after:x"}), 1024);
}

TEST_F(CompileCommandTest, TextForPeople) {
  const ProcessResult result = Compile({"--target", "tpu:v6e:2x2", "--model", GoldenModel("qwen2"),
                                        "--batch-tokens", "256", "--efficiency", "0.4"});
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(result.err, "");
  for (const char* part : {"tpu:v6e:2x2, 4 chips, 1 a batch", "Google TPU v6e: 918 TFLOP/s bf16",
                           "by libtpu 0.0.", "256 tokens a batch", "efficiency of 0.4"}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
}

TEST(CompileUsageTest, WeightsThatDoNotFitNeedNoCompiler) {
  const ProcessResult result = Compile({"--target", "tpu:v5e:2x2", "--shape", "qwen2.5-7b",
                                        "--compute", "f32", "--plugin", "/nonexistent.so"});
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.err,
              HasSubstr("the weights are 26.1 GB a chip, and Google TPU v5e has 16.0 GB"));
  EXPECT_THAT(result.err, HasSubstr("--chips"));
}

TEST(CompileUsageTest, MistakesAreNamed) {
  const auto error = [](const std::vector<std::string>& flags) {
    const ProcessResult result = Compile(flags);
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    return result.err;
  };
  EXPECT_THAT(error({"--shape", "tiny"}), HasSubstr("--target is missing"));
  EXPECT_THAT(error({"--target", "tpu:v5e:2x2"}), HasSubstr("--model or --shape"));
  EXPECT_THAT(error({"--target", "tpu:v9:2x2", "--shape", "tiny"}), HasSubstr("tpu:v6e:2x2"));
  EXPECT_THAT(error({"--target", "tpu:v5e:2x2", "--shape", "gpt-9"}), HasSubstr("qwen2.5-7b"));
  EXPECT_THAT(error({"--target", "tpu:v5e:2x2", "--shape", "tiny", "--chips", "0"}),
              HasSubstr("--chips"));
  EXPECT_THAT(error({"--target", "tpu:v5e:2x2", "--shape", "tiny", "--efficiency", "2"}),
              HasSubstr("--efficiency"));
}

TEST(CompileUsageTest, WithoutThePluginItSaysWhatToInstall) {
  const ProcessResult result =
      Compile({"--target", "tpu:v5e:2x2", "--shape", "tiny"}, "/nonexistent");
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("thresher plugins install tpu"));
}

}  // namespace
}  // namespace thresher
