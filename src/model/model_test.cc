#include "model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/golden_for_test.h"
#include "model/model_folder_for_test.h"
#include "model/reference_forward.h"

namespace thresher {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class GoldenModel : public ::testing::TestWithParam<std::string> {};

// Every tensor that transformers computed, from the weights and config.json alone.
TEST_P(GoldenModel, ReferenceForwardReproducesTransformers) {
  const Result<Model> model = LoadModel(TestDataPath("golden/" + GetParam()));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto sequences = LoadGolden(GetParam(), static_cast<int32_t>(model->layer_count));
  ASSERT_FALSE(sequences.empty());
  double worst = 0;
  for (const auto& [index, sequence] : sequences) {
    std::vector<HookPoint> hooks;
    for (const auto& [hook, values] : sequence.values) hooks.push_back(hook);
    const auto found =
        ReferenceForward(model->graph, LookupIn(model->weights), sequence.token_ids, hooks);
    ASSERT_TRUE(found.ok()) << found.status().message();
    ASSERT_EQ(found->size(), hooks.size());
    for (const auto& [hook, expected] : sequence.values) {
      const double error = RelativeL2(expected, found->at(hook));
      EXPECT_LT(error, kGoldenTolerance) << "sequence " << index << " " << HookName(hook);
      worst = std::max(worst, error);
    }
  }
  // Both sides see the same weights, so that what is left is float32 rounding of the other side.
  EXPECT_LT(worst, 2e-6);
  RecordProperty("worst_relative_l2", std::to_string(worst));
}

TEST_P(GoldenModel, Transformers5ConfigGivesTheSameModel) {
  const ModelFolder folder(GetParam());
  const Result<Model> published = LoadModel(folder.path());
  ASSERT_TRUE(published.ok()) << published.status().message();
  folder.Write("config.json", folder.Read("config.v5.json"));
  const Result<Model> rewritten = LoadModel(folder.path());
  ASSERT_TRUE(rewritten.ok()) << rewritten.status().message();
  EXPECT_EQ(published->config_fingerprint, rewritten->config_fingerprint);
  EXPECT_EQ(published->architecture, rewritten->architecture);
  EXPECT_EQ(published->max_positions, rewritten->max_positions);
}

TEST_P(GoldenModel, SetsEveryHookPoint) {
  const Result<Model> model = LoadModel(TestDataPath("golden/" + GetParam()));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto layers = static_cast<int32_t>(model->layer_count);
  const Result<std::vector<HookPoint>> all = SelectHooks("all", "all", layers);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), static_cast<size_t>(2 + 10 * layers));
  for (const HookPoint& hook : *all) {
    EXPECT_TRUE(model->graph.FindHook(hook).ok()) << HookName(hook);
  }
  const auto value = [&](int32_t layer, HookKind kind) {
    return *model->graph.FindHook({layer, kind});
  };
  EXPECT_EQ(value(-1, HookKind::kEmbed), value(0, HookKind::kResidPre));
  for (int32_t layer = 1; layer < layers; ++layer) {
    EXPECT_EQ(value(layer, HookKind::kResidPre), value(layer - 1, HookKind::kResidPost));
  }
}

INSTANTIATE_TEST_SUITE_P(, GoldenModel,
                         ::testing::Values("qwen2", "llama", "llama3rope", "smollm2", "mistral"),
                         [](const auto& test) { return test.param; });

TEST(ModelTest, AFolderOfModelsSaysWhichThereAre) {
  const Status above = LoadModel(TestDataPath("golden")).status();
  EXPECT_EQ(above.code(), Code::kNotFound);
  EXPECT_THAT(above.message(), HasSubstr("golden: there is no config.json in this folder; models "
                                         "lie in its folders "));
  EXPECT_THAT(above.message(), HasSubstr("mistral, qwen2, smollm2"));
  const Status missing = LoadModel(TestDataPath("golden/nowhere")).status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("there is no model folder "));
  EXPECT_THAT(LoadModel("owner/name-1.5").status().message(), HasSubstr("hf://owner/name-1.5"));
  EXPECT_THAT(LoadModel("./owner").status().message(), Not(HasSubstr("hf://")));
  EXPECT_THAT(LoadModel(TestDataPath("golden/qwen2/config.json")).status().message(),
              HasSubstr("is a file; give the folder that it is in"));
}

TEST(ModelTest, SaysWhatTheModelIs) {
  const Result<Model> model = LoadModel(TestDataPath("golden/qwen2"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->architecture, "Qwen2ForCausalLM");
  EXPECT_EQ(model->layer_count, 3);
  EXPECT_EQ(model->hidden_size, 64);
  EXPECT_EQ(model->vocabulary_size, 512);
  EXPECT_EQ(model->max_positions, 256);
  EXPECT_THAT(model->config_fingerprint, HasSubstr("xxh3-128:"));
}

// Each setting that changes the computation changes the fingerprint; the others do not.
TEST(ModelTest, ConfigFingerprintFollowsTheComputation) {
  const ModelFolder folder("llama3rope");
  const std::string original = LoadModel(folder.path())->config_fingerprint;
  const std::string config = folder.Read("config.json");
  const auto with = [&](const nlohmann::json& patch) {
    folder.Write("config.json", config);
    folder.PatchJson("config.json", patch);
    const Result<Model> model = LoadModel(folder.path());
    EXPECT_TRUE(model.ok()) << model.status().message();
    return model.ok() ? model->config_fingerprint : "";
  };
  EXPECT_EQ(with({{"max_position_embeddings", 1024}}), original);
  EXPECT_EQ(with({{"torch_dtype", "float32"}, {"use_cache", true}}), original);
  EXPECT_EQ(with({{"bos_token_id", 7}, {"pretraining_tp", 2}}), original);
  EXPECT_NE(with({{"rms_norm_eps", 1.0000001e-5}}), original);
  EXPECT_NE(with({{"rope_theta", 500001}}), original);
  EXPECT_NE(with({{"rope_scaling", {{"factor", 8.5}}}}), original);
  EXPECT_NE(with({{"rope_scaling", {{"low_freq_factor", 1.5}}}}), original);
  EXPECT_NE(with({{"rope_scaling", {{"high_freq_factor", 4.5}}}}), original);
  EXPECT_NE(with({{"rope_scaling", {{"original_max_position_embeddings", 65}}}}), original);
  EXPECT_NE(with({{"rope_scaling", {{"rope_type", "linear"}}}}), original);
  EXPECT_NE(with({{"rope_scaling", nullptr}}), original);
  EXPECT_NE(with({{"num_hidden_layers", 2}}), original);
  EXPECT_NE(with({{"model_type", "mistral"}, {"architectures", {"MistralForCausalLM"}}}), original);
}

TEST(ModelTest, ReportsTheFirstWrongParameterAndHowManyMore) {
  const ModelFolder folder("llama");
  folder.PatchJson("config.json", {{"intermediate_size", 98}});
  const Result<Model> model = LoadModel(folder.path());
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.status().message(), AllOf(HasSubstr(folder.PathOf("model.safetensors")),
                                              HasSubstr("'model.layers.0.mlp.gate_proj.weight'"),
                                              HasSubstr("expected shape [98, 64], found [96, 64]"),
                                              HasSubstr("and 8 more tensors")));
}

TEST(ModelTest, ReportsMissingParameters) {
  const ModelFolder folder("llama");
  folder.PatchJson("config.json", {{"attention_bias", true}, {"num_hidden_layers", 1}});
  const Result<Model> model = LoadModel(folder.path());
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kNotFound);
  EXPECT_THAT(
      model.status().message(),
      AllOf(HasSubstr("'model.layers.0.self_attn.q_proj.bias' is missing"),
            HasSubstr(folder.PathOf("model.safetensors")), HasSubstr("and 3 more tensors")));
}

TEST(ModelTest, RefusesWeightsThatAreNotFloats) {
  const ModelFolder folder("qwen2");
  folder.PatchJson("config.json", {{"num_hidden_layers", 1}});
  std::string bytes = folder.Read("model.safetensors");
  const std::string name = "\"model.norm.weight\":{\"dtype\":\"BF16\",\"shape\":[64]";
  const size_t at = bytes.find(name);
  ASSERT_NE(at, bytes.npos);
  for (const std::string dtype : {"\"U16\" ", "\"I8\",\"shape\":[128]"}) {
    std::string changed = bytes;
    std::string replacement = "\"model.norm.weight\":{\"dtype\":" + dtype;
    if (dtype == "\"U16\" ") replacement += ",\"shape\":[64]";
    changed.replace(at, name.size(), replacement);
    // The header's length follows.
    const auto growth = static_cast<int64_t>(changed.size()) - static_cast<int64_t>(bytes.size());
    uint64_t length;
    std::memcpy(&length, changed.data(), 8);
    length += static_cast<uint64_t>(growth);
    std::memcpy(changed.data(), &length, 8);
    folder.Write("model.safetensors", changed);
    const Result<Model> model = LoadModel(folder.path());
    ASSERT_FALSE(model.ok());
    EXPECT_THAT(
        model.status().message(),
        AllOf(HasSubstr("model.safetensors"), HasSubstr("'model.norm.weight'"),
              HasSubstr("expected dtype F32, F16 or BF16, found"), Not(HasSubstr("more tensors"))));
  }
}

TEST(ModelTest, NamesTheFolderThatHasNoModel) {
  const ModelFolder folder;
  EXPECT_EQ(LoadModel(folder.path()).status().code(), Code::kNotFound);
  EXPECT_THAT(LoadModel(folder.path()).status().message(),
              HasSubstr(folder.path() + ": there is no config.json in this folder"));
}

TEST(ReferenceForwardTest, RefusesTokensOutsideTheVocabulary) {
  const Result<Model> model = LoadModel(TestDataPath("golden/llama"));
  ASSERT_TRUE(model.ok());
  for (const int32_t token : {-1, 512}) {
    const std::vector<int32_t> tokens = {0, token};
    const auto found = ReferenceForward(model->graph, LookupIn(model->weights), tokens,
                                        {{0, HookKind::kResidPre}});
    ASSERT_FALSE(found.ok());
    EXPECT_THAT(found.status().message(), HasSubstr("expected 0 to 511"));
  }
}

// The wrong settings that a golden test must be able to see.
TEST(ReferenceForwardTest, WrongSettingsShowUpInTheGoldenComparison) {
  const auto error_with = [](const std::string& name, const nlohmann::json& patch) {
    const ModelFolder folder(name);
    folder.PatchJson("config.json", patch);
    const Result<Model> model = LoadModel(folder.path());
    EXPECT_TRUE(model.ok()) << model.status().message();
    const auto sequences = LoadGolden(name, static_cast<int32_t>(model->layer_count));
    const GoldenSequence& sequence = sequences.at(2);
    const HookPoint last = {static_cast<int32_t>(model->layer_count - 1), HookKind::kResidPost};
    const auto found =
        ReferenceForward(model->graph, LookupIn(model->weights), sequence.token_ids, {last});
    return RelativeL2(sequence.values.at(last), found->at(last));
  };
  EXPECT_LT(error_with("llama", nlohmann::json::object()), 2e-6);
  EXPECT_GT(error_with("llama", {{"rms_norm_eps", 1e-3}}), kGoldenTolerance);
  EXPECT_GT(error_with("llama", {{"rope_theta", 10000}}), 1e-3);
  EXPECT_GT(error_with("llama3rope", {{"rope_scaling", nullptr}}), 1e-3);
  EXPECT_GT(error_with("mistral", {{"sliding_window", nullptr}}), 1e-3);
  EXPECT_GT(error_with("mistral", {{"sliding_window", 17}}), 1e-3);
  EXPECT_GT(
      error_with("qwen2",
                 {{"use_sliding_window", true}, {"sliding_window", 16}, {"max_window_layers", 2}}),
      1e-3);
}

}  // namespace
}  // namespace thresher
