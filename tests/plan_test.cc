// `thresher plan`, and whether `thresher extract` then does what it said.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using Texts = std::vector<std::string>;

class PlanTest : public testing::Test {
 protected:
  // The golden model with the tokenizer and chat template of the same vocabulary.
  void SetUp() override {
    std::filesystem::create_directory(Model());
    for (const std::string& from :
         {GoldenModel("qwen2"), SourcePath("tests/data/tokenizers/tiny512")}) {
      std::filesystem::copy(from, Model(),
                            std::filesystem::copy_options::overwrite_existing |
                                std::filesystem::copy_options::recursive);
    }
  }
  std::string Model() const { return folder_.path() + "/model"; }

  ProcessResult Plan(const Texts& flags) const {
    Texts arguments = {"plan", "--model", Model()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return RunProcess(Thresher(arguments));
  }

  // Plans and extracts; samples, tokens, bytes, units and rejected samples agree within 10 %.
  void ExpectPlanFits(const std::string& dataset, const Texts& flags) {
    Texts settings = {"--dataset", dataset, "--dtype", "f32", "--json", "--no-trial"};
    settings.insert(settings.end(), flags.begin(), flags.end());
    const ProcessResult planned = Plan(settings);
    ASSERT_EQ(planned.exit_status, 0) << planned.Describe();
    const Json plan = Json::parse(planned.out);
    const std::string output = folder_.path() + "/run";
    const ProcessResult ran =
        Extraction{.model = Model(), .dataset = dataset, .output = output, .flags = flags}.Run();
    ASSERT_TRUE(ran.exit_status == 0 || ran.exit_status == 3) << ran.Describe();
    const Result<RunContent> run = ReadCompleteRun(output);
    ASSERT_TRUE(run.ok()) << run.status().message();
    double tokens = 0;
    double bytes = 0;
    double rejected = 0;
    for (const UnitContent& unit : run->units) {
      tokens += static_cast<double>(unit.commit.token_count);
      bytes += static_cast<double>(unit.commit.bytes);
      rejected += static_cast<double>(unit.commit.rejected.size());
    }
    const Json& samples = plan.at("samples");
    EXPECT_EQ(samples.at("count"), run->run.spec.dataset.sample_count);
    EXPECT_NEAR(samples.at("stored_tokens").at("value").get<double>(), tokens, 0.1 * tokens);
    EXPECT_NEAR(samples.at("rejected").at("value").get<double>(), rejected, 0.1 * rejected);
    EXPECT_NEAR(plan.at("storage").at("bytes").get<double>(), bytes, 0.1 * bytes);
    EXPECT_EQ(plan.at("storage").at("units"), run->units.size());
  }

  TemporaryFolder folder_;
};

TEST_F(PlanTest, TokenIdsWithRejectedAndCutOnes) {
  const std::string dataset = folder_.path() + "/d.jsonl";
  WriteSamples(dataset, {.count = 300, .shortest = 5, .longest = 50});
  WriteFile(dataset, ReadFile(dataset) + "{\"token_ids\": []}\n{\"token_ids\": [\"x\"]}\n");
  ExpectPlanFits(dataset, {"--max-tokens", "40", "--shard-bytes", "100KB"});
}

// So many records that the plan looks at some of them only, and says so.
TEST_F(PlanTest, ALargeDataSetIsSampled) {
  const std::string dataset = folder_.path() + "/d.jsonl";
  WriteSamples(dataset, {.count = 40'000, .shortest = 1, .longest = 10});
  ExpectPlanFits(dataset, {"--layers", "0", "--tokens", "last", "--shard-bytes", "2MB"});
  const ProcessResult text = Plan({"--dataset", dataset, "--no-trial"});
  EXPECT_THAT(text.out, HasSubstr("4,096 were read")) << text.Describe();
}

TEST_F(PlanTest, PlainTextThatIsSplit) {
  const std::string dataset = folder_.path() + "/d.txt";
  Random random(2);
  std::string text;
  for (int paragraph = 0; paragraph < 60; ++paragraph) {
    for (uint64_t words = 5 + random.Below(100); words > 0; --words) text += "thresher and chaff ";
    text += "\n\n";
  }
  WriteFile(dataset, text);
  ExpectPlanFits(dataset, {"--documents", "paragraph", "--overlong", "split", "--max-tokens", "48",
                           "--shard-bytes", "300KB", "--tokens", "every:3"});
}

TEST_F(PlanTest, ArcTasks) {
  const std::string dataset = folder_.path() + "/d.jsonl";
  std::string text;
  Random random(3);
  for (int task = 0; task < 12; ++task) {
    const auto grid = [&] {
      Json rows = Json::array();
      const uint64_t width = 1 + random.Below(3);
      for (uint64_t r = 1 + random.Below(3); r > 0; --r) {
        Json row = Json::array();
        for (uint64_t c = 0; c < width; ++c) row.push_back(random.Below(10));
        rows.push_back(row);
      }
      return rows;
    };
    const auto pair = [&] { return Json{{"input", grid()}, {"output", grid()}}; };
    text += Json{{"task_id", fmt::format("t{}", task)},
                 {"train", {pair(), pair()}},
                 {"test", Json::array({pair()})}}
                .dump() +
            "\n";
  }
  WriteFile(dataset, text);
  ExpectPlanFits(dataset, {"--shard-bytes", "2MB"});
  const ProcessResult planned = Plan({"--dataset", dataset, "--no-trial", "--max-tokens", "100"});
  EXPECT_THAT(planned.out, HasSubstr("each task once, as it is: --variants 1"));
  EXPECT_THAT(planned.out, HasSubstr(" samples: what is behind token 100 is not stored"));
}

TEST_F(PlanTest, NumbersAloneGiveTheKnownSize) {
  const std::string model = folder_.path() + "/qwen";
  std::filesystem::create_directory(model);
  WriteFile(model + "/config.json", R"({"architectures": ["Qwen2ForCausalLM"],
      "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
      "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
      "vocab_size": 151936, "max_position_embeddings": 32768, "rms_norm_eps": 1e-06,
      "rope_theta": 1000000.0, "hidden_act": "silu", "tie_word_embeddings": true})");
  const ProcessResult text = RunProcess(Thresher(
      {"plan", "--model", model, "--assume-samples", "200000", "--assume-tokens", "2048"}));
  ASSERT_EQ(text.exit_status, 0) << text.Describe();
  EXPECT_THAT(text.out, HasSubstr("17.6 TB"));
  for (const char* flag :
       {"--layers 1,3,5", "--layers 12", "--tokens last", "--tokens assistant", "--tokens every:8",
        "--tokens fraction:0.1", "--max-samples 20000", "fp8_e4m3", "together"}) {
    EXPECT_THAT(text.out, HasSubstr(flag));
  }
}

// A model of 26 GB: one v4 holds it, two v5e must share it.
TEST_F(PlanTest, AcceleratorsByTheirRoofline) {
  const std::string model = folder_.path() + "/qwen14b";
  std::filesystem::create_directory(model);
  WriteFile(model + "/config.json", R"({"architectures": ["Qwen2ForCausalLM"],
      "model_type": "qwen2", "hidden_size": 5120, "intermediate_size": 13824,
      "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": 8,
      "vocab_size": 152064, "max_position_embeddings": 32768, "rms_norm_eps": 1e-06,
      "rope_theta": 1000000.0, "hidden_act": "silu", "tie_word_embeddings": false})");
  const ProcessResult planned = RunProcess(Thresher(
      {"plan", "--model", model, "--assume-samples", "1000", "--assume-tokens", "2048", "--machine",
       "tpu-v4", "--machine", "tpu-v5e", "--machine", "gcp-c3-cpu", "--json"}));
  ASSERT_EQ(planned.exit_status, 0) << planned.Describe();
  const Json plan = Json::parse(planned.out);
  const std::vector<Json> machines = plan.at("money").at("machines");
  ASSERT_EQ(machines.size(), 3U);
  EXPECT_EQ(machines[0].at("chip"), "v4");
  EXPECT_EQ(machines[0].at("chips_a_batch"), 1);
  EXPECT_EQ(machines[1].at("chips_a_batch"), 2);
  EXPECT_EQ(machines[1].at("compute_bound_by"), "compute");
  EXPECT_TRUE(machines[2].at("chip").is_null());
  // Bound by computing, so the peak and the efficiency decide.
  const double v4_hours = machines[0].at("compute_hours");
  const double v5e_hours = machines[1].at("compute_hours");
  EXPECT_NEAR(v5e_hours / v4_hours, 275.0 / 197.0, 1e-3);
}

TEST_F(PlanTest, ShowsItsPriceList) {
  const ProcessResult shown = RunProcess(Thresher({"plan", "--show-prices"}));
  EXPECT_EQ(shown.exit_status, 0) << shown.Describe();
  EXPECT_EQ(shown.out, ReadFile(SourcePath("deploy/prices.toml")));
}

TEST_F(PlanTest, WrongUsage) {
  EXPECT_EQ(Plan({}).exit_status, 2);
  EXPECT_EQ(Plan({"--assume-samples", "5"}).exit_status, 2);
  const ProcessResult machine =
      Plan({"--assume-samples", "5", "--assume-tokens", "5", "--machine", "abacus"});
  EXPECT_EQ(machine.exit_status, 2);  // the flag is wrong, not a file
  EXPECT_THAT(machine.err, HasSubstr("tpu-v5e"));
  const std::string prices = folder_.path() + "/prices.toml";
  WriteFile(prices, "currency = \"EUR\"\n[[machine]]\nname = 3\n");
  const ProcessResult bad =
      Plan({"--assume-samples", "5", "--assume-tokens", "5", "--prices", prices});
  EXPECT_EQ(bad.exit_status, 1);
  EXPECT_THAT(bad.err, HasSubstr("prices.toml:3:8: [[machine]]: key name: expected text"));
}

}  // namespace
}  // namespace thresher
