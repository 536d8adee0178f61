// Every hook point of the tiny models in tests/data/golden, through the command line and the shard
// files, against what transformers computes for them.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "model/golden_for_test.h"
#include "model/model_folder_for_test.h"
#include "run_reader.h"

namespace thresher {
namespace {

constexpr int32_t kLayers = 3;

std::vector<double> Doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

// "blocks.2.attn.hook_q" -> "attn.hook_q"
std::string KindOf(const std::string& hook) {
  return hook.starts_with("blocks.") ? hook.substr(hook.find('.', 7) + 1) : hook;
}

// A model, its golden sequences in a data set of one line each, and runs over them.
class GoldenRuns : public testing::Test {
 protected:
  void Prepare(const std::string& model, const std::string& config) {
    golden_ = LoadGolden(model, kLayers);
    model_ = std::make_unique<ModelFolder>(model);
    if (config != "config.json") model_->Write("config.json", model_->Read(config));
    std::string lines;
    for (const auto& [index, sequence] : golden_) lines += TokenIdsLine(sequence.token_ids);
    WriteFile(Dataset(), lines);
  }

  std::string Dataset() const { return folder_.path() + "/golden.jsonl"; }

  // One run per name; a failure ends the test.
  RunContent RunWith(const std::string& name, const std::vector<std::string>& flags) {
    const std::string output = folder_.path() + "/" + name;
    const ProcessResult result = Extraction{model_->path(), Dataset(), output, flags}.Run();
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    Result<RunContent> content = ReadCompleteRun(output);
    EXPECT_TRUE(content.ok()) << content.status().message();
    THRESHER_CHECK(content.ok());
    return std::move(content).value();
  }

  // Compares every golden tensor; gives the worst error of each kind of hook point.
  std::map<std::string, double> Compare(const RunContent& content) const {
    const std::map<int64_t, SampleContent> samples = content.Samples();
    EXPECT_EQ(samples.size(), golden_.size());
    std::map<std::string, double> worst;
    int64_t sample_index = 0;
    for (const auto& [sequence_index, sequence] : golden_) {
      const SampleContent& sample = samples.at(sample_index++);
      EXPECT_EQ(sample.token_ids,
                std::vector<int64_t>(sequence.token_ids.begin(), sequence.token_ids.end()));
      for (const auto& [hook, expected] : sequence.values) {
        const std::string name = HookName(hook);
        const auto found = sample.hooks.find(name);
        if (found == sample.hooks.end()) {
          ADD_FAILURE() << name << " is not in the shard";
          continue;
        }
        const double error = RelativeL2(expected, Doubles(found->second));
        EXPECT_LE(error, kGoldenTolerance) << name << " of sequence " << sequence_index;
        double& kind = worst[KindOf(name)];
        kind = std::max(kind, error);
      }
    }
    return worst;
  }

  TemporaryFolder folder_;
  std::unique_ptr<ModelFolder> model_;
  std::map<int, GoldenSequence> golden_;
};

class GoldenTest : public GoldenRuns,
                   public testing::WithParamInterface<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override { Prepare(std::get<0>(GetParam()), std::get<1>(GetParam())); }
};

TEST_P(GoldenTest, EveryTensorPackedAndOneByOne) {
  const std::vector<std::vector<std::string>> ways = {{"--batch-tokens", "2048"},
                                                      {"--batch-tokens", "1"}};
  std::map<std::string, double> worst;
  for (const std::vector<std::string>& way : ways) {
    for (const char* threads : {"1", "2"}) {
      SCOPED_TRACE(way[1] + " tokens a batch, " + threads + " threads");
      std::vector<std::string> flags = {"--hooks", "all", "--threads", threads};
      flags.insert(flags.end(), way.begin(), way.end());
      const RunContent content = RunWith("run-" + way[1] + "-" + threads, flags);
      for (const auto& [kind, error] : Compare(content)) {
        worst[kind] = std::max(worst[kind], error);
      }
    }
  }
  for (const auto& [kind, error] : worst) {
    fmt::print("  {:<24} worst relative L2 error {:.2g}\n", kind, error);
    RecordProperty(kind, fmt::format("{:.3g}", error));
  }
  EXPECT_GE(worst.size(), std::get<0>(GetParam()) == "mistral" ? 3u : 11u);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest,
                         testing::Combine(testing::Values("qwen2", "llama", "llama3rope", "smollm2",
                                                          "mistral"),
                                          testing::Values("config.json", "config.v5.json")),
                         [](const auto& model) {
                           const std::string& config = std::get<1>(model.param);
                           return std::get<0>(model.param) + (config == "config.json" ? "" : "_v5");
                         });

class GoldenRunsTest : public GoldenRuns {};

TEST_F(GoldenRunsTest, BothConfigsAreTheSameRun) {
  Prepare("llama3rope", "config.json");
  const RunContent content = RunWith("run", {"--hooks", "resid_post"});
  const std::string output = folder_.path() + "/run";
  model_->Write("config.json", model_->Read("config.v5.json"));
  // Joins the complete run: a model with other settings would be refused.
  const ProcessResult again =
      Extraction{model_->path(), Dataset(), output, {"--hooks", "resid_post"}}.Run();
  EXPECT_EQ(again.exit_status, 0) << again.Describe();
}

// The same bytes whatever else is captured beside, in one pass that may end earlier.
TEST_F(GoldenRunsTest, ASubsetIsThatPartOfTheWhole) {
  Prepare("qwen2", "config.json");
  const RunContent whole = RunWith("whole", {"--hooks", "all"});
  const std::vector<std::pair<std::string, std::string>> subsets = {
      {"resid_post", "1"}, {"q,k,v", "0"},        {"z,mlp_post", "0,2"},
      {"embed", "all"},    {"final_norm", "all"}, {"resid_pre,resid_mid,attn_out,mlp_out", "1-2"}};
  int64_t number = 0;
  for (const auto& [hooks, layers] : subsets) {
    SCOPED_TRACE(hooks + " of layers " + layers);
    const RunContent part =
        RunWith(fmt::format("part-{}", number++), {"--hooks", hooks, "--layers", layers});
    ASSERT_EQ(part.units.size(), 1u);
    const size_t hook_count = part.run.spec.capture.hooks.size();
    EXPECT_EQ(part.units[0].tensors.size(), hook_count + 4);
    for (const std::string& hook : part.run.spec.capture.hooks) {
      EXPECT_TRUE(part.units[0].tensors.at(hook).bytes == whole.units[0].tensors.at(hook).bytes)
          << hook;
    }
  }
}

TEST_F(GoldenRunsTest, WhatIsAddedToTheResidualStream) {
  for (const char* model : {"qwen2", "llama", "llama3rope", "smollm2", "mistral"}) {
    SCOPED_TRACE(model);
    Prepare(model, "config.json");
    const RunContent content = RunWith(model, {"--hooks", "all"});
    for (const auto& [index, sample] : content.Samples()) {
      for (int layer = 0; layer < kLayers; ++layer) {
        const std::string block = fmt::format("blocks.{}.hook_", layer);
        std::vector<double> sum = Doubles(sample.hooks.at(block + "resid_pre"));
        const std::vector<float>& attention = sample.hooks.at(block + "attn_out");
        const std::vector<float>& mlp = sample.hooks.at(block + "mlp_out");
        for (size_t i = 0; i < sum.size(); ++i) sum[i] += double{attention[i]} + double{mlp[i]};
        EXPECT_LE(RelativeL2(sum, Doubles(sample.hooks.at(block + "resid_post"))), 3e-7) << block;
        if (layer > 0) {
          EXPECT_EQ(sample.hooks.at(block + "resid_pre"),
                    sample.hooks.at(fmt::format("blocks.{}.hook_resid_post", layer - 1)));
        }
      }
      EXPECT_EQ(sample.hooks.at("hook_embed"), sample.hooks.at("blocks.0.hook_resid_pre"));
    }
  }
}

}  // namespace
}  // namespace thresher
