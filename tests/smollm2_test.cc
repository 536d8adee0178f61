// A real model, through the command line: SmolLM2-135M-Instruct against what transformers computes
// for it, and its tokenizer and chat template on the way from text to stored token ids.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "engine/cpu/cpu_engine.h"
#include "extraction.h"
#include "files.h"
#include "plugins/plugin_library.h"
#include "run_reader.h"
#include "shard/convert.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

constexpr int kLayers = 30;
constexpr size_t kWidth = 576;

struct LayerError {
  double relative_l2 = 0;     // over all rows but token 0's
  double mean_cosine = 0;     // over the same rows
  double first_token_l2 = 0;  // token 0 alone: it carries values a thousand times larger
  double equal_fraction = 0;  // of the values, rounded to bf16 like the golden ones
};

// Of the golden values, which are bf16, those that `found` gives exactly when it is rounded too.
double EqualFraction(const std::vector<float>& golden, const std::vector<int64_t>& token_index,
                     const std::vector<float>& found) {
  std::vector<std::byte> encoded(kWidth * 2);
  std::vector<float> rounded(kWidth);
  size_t equal = 0;
  for (size_t row = 0; row < token_index.size(); ++row) {
    EncodeRows(&found[static_cast<size_t>(token_index[row]) * kWidth], 1, kWidth, kWidth,
               DType::kBf16, encoded.data(), nullptr);
    DecodeRows(encoded.data(), nullptr, 1, kWidth, DType::kBf16, rounded.data());
    for (size_t i = 0; i < kWidth; ++i) equal += size_t{rounded[i] == golden[row * kWidth + i]};
  }
  return static_cast<double>(equal) / static_cast<double>(golden.size());
}

// Rows of the tokens `token_index` against the golden rows.
LayerError Compare(const std::vector<float>& golden, const std::vector<int64_t>& token_index,
                   const std::vector<float>& found) {
  LayerError error;
  double difference = 0;
  double norm = 0;
  double cosines = 0;
  for (size_t row = 0; row < token_index.size(); ++row) {
    const float* a = &golden[row * kWidth];
    const float* b = &found[static_cast<size_t>(token_index[row]) * kWidth];
    double ab = 0;
    double aa = 0;
    double bb = 0;
    double dd = 0;
    for (size_t i = 0; i < kWidth; ++i) {
      ab += double{a[i]} * b[i];
      aa += double{a[i]} * a[i];
      bb += double{b[i]} * b[i];
      dd += (double{b[i]} - a[i]) * (double{b[i]} - a[i]);
    }
    if (token_index[row] == 0) {
      error.first_token_l2 = std::sqrt(dd / aa);
      continue;
    }
    difference += dd;
    norm += aa;
    cosines += ab / std::sqrt(aa * bb);
  }
  const auto rows =
      static_cast<double>(token_index.size() - static_cast<size_t>(token_index[0] == 0));
  error.relative_l2 = std::sqrt(difference / norm);
  error.mean_cosine = cosines / rows;
  error.equal_fraction = EqualFraction(golden, token_index, found);
  return error;
}

class SmolLm2Test : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(Model() + "/model.safetensors")) {
      GTEST_SKIP() << "run scripts/fetch_assets.sh: there is no model in " << Model();
    }
    Result<TensorFile> golden = ReadTensorFile(SourcePath("tests/data/smollm2/golden.safetensors"));
    ASSERT_TRUE(golden.ok()) << golden.status().message();
    golden_ = *std::move(golden);
  }

  static std::string Plugins() {
    const char* folder = std::getenv("THRESHER_PLUGINS");
    return folder != nullptr ? folder : SourcePath(".cache/plugins");
  }
  static std::string Model() { return SourcePath(".cache/models/smollm2-135m-instruct"); }
  std::string Dataset() const { return folder_.path() + "/samples.jsonl"; }

  RunContent RunWith(const std::string& name, std::vector<std::string> flags) const {
    flags.insert(flags.end(), {"--threads", "0"});
    const Extraction extraction{Model(), Dataset(), folder_.path() + "/" + name, flags};
    Command command = extraction.ToCommand();
    command.environment["THRESHER_PLUGINS"] = Plugins();
    const ProcessResult result = RunProcess(command, 280'000);
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    Result<RunContent> content = ReadCompleteRun(extraction.output);
    EXPECT_TRUE(content.ok()) << content.status().message();
    THRESHER_CHECK(content.ok());
    return *std::move(content);
  }

  struct Limits {
    double relative_l2;
    double mean_cosine;
    double first_token_l2;
    double equal_fraction;
  };

  void CompareWithGolden(const std::string& compute, const std::string& dtype, const Limits& limits,
                         const std::string& engine = "cpu") {
    const std::vector<std::string> prompts = {"arc1", "text1"};
    std::string lines;
    for (const std::string& prompt : prompts) {
      const std::vector<int64_t> ids = golden_.at(prompt + ".input_ids").Integers();
      lines += TokenIdsLine({ids.begin(), ids.end()});
    }
    WriteFile(Dataset(), lines);
    const RunContent content = RunWith("golden", {"--compute", compute, "--dtype", dtype, "--hooks",
                                                  "resid_post", "--engine", engine});
    const std::map<int64_t, SampleContent> samples = content.Samples();
    std::vector<double> errors;
    LayerError worst{0, 1, 0, 1};
    for (size_t p = 0; p < prompts.size(); ++p) {
      const std::vector<int64_t> token_index = golden_.at(prompts[p] + ".token_index").Integers();
      for (int layer = 0; layer < kLayers; ++layer) {
        SCOPED_TRACE(fmt::format("{}, layer {}", prompts[p], layer));
        const std::vector<float> golden =
            golden_.at(fmt::format("{}.layer{}.resid_post", prompts[p], layer)).Floats();
        const LayerError error =
            Compare(golden, token_index,
                    samples.at(static_cast<int64_t>(p))
                        .hooks.at(fmt::format("blocks.{}.hook_resid_post", layer)));
        EXPECT_LE(error.relative_l2, limits.relative_l2);
        EXPECT_GE(error.mean_cosine, limits.mean_cosine);
        EXPECT_LE(error.first_token_l2, limits.first_token_l2);
        EXPECT_GE(error.equal_fraction, limits.equal_fraction);
        errors.push_back(error.relative_l2);
        worst.relative_l2 = std::max(worst.relative_l2, error.relative_l2);
        worst.mean_cosine = std::min(worst.mean_cosine, error.mean_cosine);
        worst.first_token_l2 = std::max(worst.first_token_l2, error.first_token_l2);
        worst.equal_fraction = std::min(worst.equal_fraction, error.equal_fraction);
      }
    }
    std::sort(errors.begin(), errors.end());
    fmt::print(
        "{}: relative L2 without token 0: median {:.2g}, worst {:.2g}; mean cosine at least "
        "{:.6f}; token 0 at most {:.2g}; at least {:.2f} % of the values equal\n",
        compute, errors[errors.size() / 2], worst.relative_l2, worst.mean_cosine,
        worst.first_token_l2, 100 * worst.equal_fraction);
  }

  TemporaryFolder folder_;
  TensorFile golden_;
};

// The golden tensors are rounded to bf16, which alone costs up to 2.0e-3, and 3.9e-3 (half a unit
// in the last place) where one value outweighs all others.
TEST_F(SmolLm2Test, InF32) { CompareWithGolden("f32", "f32", {3e-3, 0.999995, 3.9e-3, 0.98}); }

TEST_F(SmolLm2Test, InBf16) {
  if (!ProcessorHasBf16()) GTEST_SKIP() << "this processor has no bf16 arithmetic";
  CompareWithGolden("bf16", "bf16", {2.2e-2, 0.9997, 4e-2, 0});
}

// XLA's CPU plug-in emulates bf16 where the processor has none.
TEST_F(SmolLm2Test, InBf16OnADevice) {
  const Result<std::string> plugin = FindPlugin("xla-cpu", Plugins());
  if (!plugin.ok()) GTEST_SKIP() << plugin.status().message();
  CompareWithGolden("bf16", "bf16", {2.2e-2, 0.9997, 4e-2, 0}, "xla-cpu");
}

// The prompts of the golden tensors as text and as messages: the stored ids must be theirs.
TEST_F(SmolLm2Test, TextAndMessagesBecomeTheGoldenTokens) {
  const std::string question =
      "Find the rule that maps each input grid to its output grid, then apply it.\n\n"
      "Example 1\nInput:\n```grid\n1 111\n2 000\n3 000\n```\n"
      "Output:\n```grid\n1 000\n2 111\n3 000\n```\n\n"
      "Example 2\nInput:\n```grid\n1 000\n2 111\n3 000\n```\n"
      "Output:\n```grid\n1 000\n2 000\n3 111\n```\n\n"
      "Test\nInput:\n```grid\n1 200\n2 200\n3 000\n```\n";
  const std::string answer_begin = "```grid\n";
  const std::string system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
  const std::string rendered = "<|im_start|>system\n" + system + "<|im_end|>\n<|im_start|>user\n" +
                               question + "<|im_end|>\n<|im_start|>assistant\n";
  const auto message = [](const char* role, const std::string& content) {
    return Json{{"role", role}, {"content", content}};
  };
  const std::vector<Json> records = {
      {{"id", 17}, {"text", rendered + answer_begin}},
      {{"messages",
        Json::array({message("user", question)})}},  // the template adds its system message
      {{"messages", Json::array({message("system", system), message("user", question)})}},
      {{"text",
        "Photosynthesis turns light, water and carbon dioxide into sugar; about half of the oxygen "
        "we breathe comes from plankton in the oceans."}}};
  std::string lines;
  for (const Json& record : records) lines += record.dump() + "\n";
  WriteFile(Dataset(), lines);

  const RunContent content = RunWith("text", {"--hooks", "embed"});
  const std::map<int64_t, SampleContent> samples = content.Samples();
  ASSERT_EQ(samples.size(), records.size());
  std::vector<int64_t> ids = golden_.at("arc1.input_ids").Integers();
  EXPECT_EQ(samples.at(0).token_ids, ids);
  constexpr size_t kAnswerBeginTokens = 3;
  ids.resize(ids.size() - kAnswerBeginTokens);
  EXPECT_EQ(samples.at(1).token_ids, ids);
  EXPECT_EQ(samples.at(2).token_ids, ids);
  EXPECT_EQ(samples.at(3).token_ids, golden_.at("text1.input_ids").Integers());
}

}  // namespace
}  // namespace thresher
