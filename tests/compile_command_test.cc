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

// Bytes of all weights but the embedding table, in bf16.
struct LayerShape {
  double layers;
  double hidden;
  double kv_width;
  double intermediate;

  double weight_bytes() const {
    return layers * 2 * hidden * (2 * hidden + 2 * kv_width + 3 * intermediate);
  }
};

// The goals of the accelerators: little work that is not useful, memory that fits, and computing
// that takes at least twice as long as moving bytes.
TEST_F(CompileCommandTest, ALargeModelOnASmallChip) {
  const ProcessResult result = Compile(
      {"--target", "tpu:v5e:2x2", "--shape", "qwen2.5-7b", "--batch-tokens", "2048", "--json"});
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  const nlohmann::json json = nlohmann::json::parse(result.out)[0];
  EXPECT_EQ(json["target"], "tpu:v5e:2x2");
  EXPECT_EQ(json["batch_tokens"], 2048);
  EXPECT_EQ(json["layer_loop_iterations"], 28);
  EXPECT_EQ(json["chips_a_batch"], 1);
  const double ratio = json["counted_over_useful_flops"];
  EXPECT_GT(ratio, 1.0);
  EXPECT_LE(ratio, 1.05);
  EXPECT_GE(json["roofline"]["compute_margin"], 2);
  const double weights = LayerShape{28, 3584, 512, 18944}.weight_bytes();
  EXPECT_NEAR(json["memory"]["arguments_bytes"].get<double>(), weights, 0.03 * weights);
  EXPECT_LE(json["memory"]["two_batches_in_flight_bytes"], json["chip"]["memory_bytes"]);
  EXPECT_EQ(json["result_rows"], 2048);
  EXPECT_EQ(json["results_bytes"], 28.0 * 2048 * 3584 * 2);
  EXPECT_GT(json["chip_tokens_per_second"], 0);
}

// Half of the weights on each of two chips, and sums that cross between them.
TEST_F(CompileCommandTest, ChipsThatShareABatch) {
  const ProcessResult result = Compile({"--target", "tpu:v5e:2x2", "--shape", "qwen2.5-0.5b",
                                        "--chips", "2", "--batch-tokens", "1024", "--json"});
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  const nlohmann::json json = nlohmann::json::parse(result.out)[0];
  EXPECT_EQ(json["chips_a_batch"], 2);
  EXPECT_LE(json["counted_over_useful_flops"], 1.05);
  const double weights = LayerShape{24, 896, 128, 4864}.weight_bytes() / 2;
  EXPECT_NEAR(json["memory"]["arguments_bytes"].get<double>(), weights, 0.03 * weights);
  EXPECT_GT(json["chip_link_bytes"], 0);
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
