#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/json.h"
#include "model/architecture.h"
#include "model/decoder.h"
#include "model/model.h"
#include "model/model_folder_for_test.h"

namespace thresher {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json Published(const std::string& model) {
  return json::parse(ModelFolder(model).Read("config.json"));
}

Result<ModelConfig> ReadConfig(const json& fields) {
  ASSIGN_OR_RETURN(const Architecture* architecture, FindArchitecture(fields));
  return architecture->read_config(fields);
}

Result<ModelConfig> ReadPatched(const std::string& model, const json& patch) {
  json fields = Published(model);
  fields.merge_patch(patch);
  return ReadConfig(fields);
}

void ExpectRefused(const std::string& model, const json& patch, const std::string& message) {
  const Result<ModelConfig> config = ReadPatched(model, patch);
  ASSERT_FALSE(config.ok()) << patch;
  EXPECT_EQ(config.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(config.status().message(), HasSubstr(message)) << patch;
}

TEST(ConfigTest, ReadsPublishedSettings) {
  const Result<ModelConfig> config = ReadConfig(Published("llama3rope"));
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->vocabulary_size, 512);
  EXPECT_EQ(config->hidden_size, 64);
  EXPECT_EQ(config->intermediate_size, 96);
  EXPECT_EQ(config->layer_count, 3);
  EXPECT_EQ(config->heads, 4);
  EXPECT_EQ(config->kv_heads, 2);
  EXPECT_EQ(config->head_dim, 24);
  EXPECT_EQ(config->max_positions, 256);
  EXPECT_EQ(config->rms_norm_epsilon, 1e-5);
  EXPECT_EQ(config->rope.theta, 500000);
  EXPECT_EQ(config->rope.scaling, RopeConfig::Scaling::kLlama3);
  EXPECT_EQ(config->rope.factor, 8);
  EXPECT_EQ(config->rope.low_frequency_factor, 1);
  EXPECT_EQ(config->rope.high_frequency_factor, 4);
  EXPECT_EQ(config->rope.original_max_positions, 64);
  EXPECT_FALSE(config->qkv_bias || config->attention_output_bias || config->mlp_bias);
  EXPECT_THAT(config->windows, ElementsAre(std::nullopt, std::nullopt, std::nullopt));
}

TEST(ConfigTest, BiasesFollowTheArchitecture) {
  const Result<ModelConfig> qwen2 = ReadConfig(Published("qwen2"));
  EXPECT_TRUE(qwen2->qkv_bias && !qwen2->attention_output_bias && !qwen2->mlp_bias);
  const Result<ModelConfig> llama = ReadPatched("llama", {{"attention_bias", true}});
  EXPECT_TRUE(llama->qkv_bias && llama->attention_output_bias && !llama->mlp_bias);
  const Result<ModelConfig> mlp = ReadPatched("llama", {{"mlp_bias", true}});
  EXPECT_TRUE(!mlp->qkv_bias && !mlp->attention_output_bias && mlp->mlp_bias);

  std::vector<std::string> biases;
  const Graph graph = BuildPreNormDecoder(*llama);
  for (const Parameter& parameter : graph.parameters()) {
    if (parameter.name.starts_with("model.layers.0.") && parameter.name.ends_with(".bias")) {
      biases.push_back(parameter.name.substr(15));
    }
  }
  EXPECT_THAT(biases, ElementsAre("self_attn.q_proj.bias", "self_attn.k_proj.bias",
                                  "self_attn.v_proj.bias", "self_attn.o_proj.bias"));
}

TEST(ConfigTest, DefaultsOfTheFirstLlama) {
  const Result<ModelConfig> config = ReadPatched(
      "llama",
      {{"num_key_value_heads", nullptr}, {"rope_theta", nullptr}, {"hidden_act", nullptr}});
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->kv_heads, 4);
  EXPECT_EQ(config->rope.theta, 10000);
}

TEST(ConfigTest, Windows) {
  EXPECT_THAT(ReadConfig(Published("mistral"))->windows, ElementsAre(16, 16, 16));
  EXPECT_THAT(ReadPatched("mistral", {{"sliding_window", nullptr}})->windows,
              ElementsAre(std::nullopt, std::nullopt, std::nullopt));
  const json sliding = {{"use_sliding_window", true}, {"sliding_window", 9}};
  json patch = sliding;
  patch["max_window_layers"] = 1;
  EXPECT_THAT(ReadPatched("qwen2", patch)->windows, ElementsAre(std::nullopt, 9, 9));
  patch["max_window_layers"] = 28;
  EXPECT_THAT(ReadPatched("qwen2", patch)->windows,
              ElementsAre(std::nullopt, std::nullopt, std::nullopt));
  patch["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};
  EXPECT_THAT(ReadPatched("qwen2", patch)->windows, ElementsAre(9, std::nullopt, 9));

  ExpectRefused("mistral", {{"sliding_window", 0}}, "'sliding_window': expected an integer from 1");
  ExpectRefused("qwen2", {{"layer_types", {"sliding_attention", "full_attention", "x"}}},
                "'use_sliding_window': expected true");
  ExpectRefused("qwen2", {{"layer_types", {"full_attention", "full_attention", "x"}}},
                "layer 2: expected 'full_attention' or 'sliding_attention', found 'x'");
  ExpectRefused("qwen2", {{"layer_types", {"full_attention"}}}, "'layer_types': expected an array");
  ExpectRefused(
      "qwen2",
      {{"use_sliding_window", true}, {"sliding_window", nullptr}, {"max_window_layers", 0}},
      "'sliding_window': expected an integer from 1");
}

// Straight from the description of Llama 3.1's rule in terms of wavelengths.
TEST(ConfigTest, InverseFrequencies) {
  RopeConfig rope = {.theta = 10000};
  const int64_t head_dim = 64;
  const std::vector<float> plain = rope.InverseFrequencies(head_dim);
  ASSERT_EQ(plain.size(), 32u);
  EXPECT_EQ(plain[0], 1.0f);
  EXPECT_FLOAT_EQ(plain[16], 0.01f);

  rope.scaling = RopeConfig::Scaling::kLinear;
  rope.factor = 4;
  for (size_t c = 0; c < 32; ++c) {
    EXPECT_FLOAT_EQ(rope.InverseFrequencies(head_dim)[c], plain[c] / 4);
  }

  rope.scaling = RopeConfig::Scaling::kLlama3;
  rope.factor = 8;
  rope.low_frequency_factor = 1;
  rope.high_frequency_factor = 4;
  rope.original_max_positions = 512;
  const std::vector<float> scaled = rope.InverseFrequencies(head_dim);
  int kept = 0;
  int stretched = 0;
  int blended = 0;
  for (size_t c = 0; c < 32; ++c) {
    const double wavelength = 2 * std::numbers::pi / plain[c];
    if (wavelength < 512.0 / 4) {
      EXPECT_FLOAT_EQ(scaled[c], plain[c]);
      ++kept;
    } else if (wavelength > 512.0 / 1) {
      EXPECT_FLOAT_EQ(scaled[c], plain[c] / 8);
      ++stretched;
    } else {
      const double smooth = (512 / wavelength - 1) / (4 - 1);
      EXPECT_NEAR(scaled[c] / ((1 - smooth) * plain[c] / 8 + smooth * plain[c]), 1, 1e-5);
      ++blended;
    }
  }
  EXPECT_TRUE(kept > 0 && stretched > 0 && blended > 0);
}

TEST(ConfigTest, RefusesAbsurdIntegers) {
  const std::map<std::string, std::string> expected = {
      {"vocab_size", "1 to 16777216"},
      {"hidden_size", "1 to 1048576"},
      {"intermediate_size", "1 to 1048576"},
      {"num_hidden_layers", "1 to 1000"},
      {"num_attention_heads", "1 to 4096"},
      {"num_key_value_heads", "1 to 4"},
      {"head_dim", "1 to 1024"},
      {"max_position_embeddings", "1 to 1000000000"},
  };
  for (const auto& [field, range] : expected) {
    const std::string start = "field '" + field + "': expected an integer from " + range;
    for (const json& bad : {json(-3), json(0), json(1'000'000'000'000'000'000), json(3.0),
                            json(1e300), json("4"), json(true), json::array(), json(UINT64_MAX)}) {
      ExpectRefused("llama", {{field, bad}}, start + ", found " + DescribeJson(&bad));
    }
    if (field != "head_dim" && field != "num_key_value_heads") {
      ExpectRefused("llama", {{field, nullptr}}, start + ", found nothing");
    }
  }
}

TEST(ConfigTest, RefusesHeadsThatDoNotFit) {
  ExpectRefused("llama", {{"num_key_value_heads", 3}},
                "'num_key_value_heads': expected a divisor of num_attention_heads (4), found 3");
  ExpectRefused("llama", {{"num_attention_heads", 6}, {"num_key_value_heads", 2}},
                "'num_attention_heads': expected a divisor of hidden_size (64)");
  ExpectRefused("llama", {{"head_dim", 15}}, "expected an even integer from 2 to 1024, found 15");
  ExpectRefused("llama", {{"num_attention_heads", 64}, {"num_key_value_heads", 2}},
                "expected an even integer from 2 to 1024, found 1");
  ExpectRefused("llama", {{"num_attention_heads", 128}, {"num_key_value_heads", 2}},
                "'num_attention_heads': expected a divisor of hidden_size (64)");
  ExpectRefused("qwen2", {{"num_key_value_heads", nullptr}}, "'num_key_value_heads'");
}

TEST(ConfigTest, RefusesAbsurdNumbers) {
  for (const json& bad : {json(0), json(-1e-5), json(1), json("1e-5"), json(1e300)}) {
    ExpectRefused(
        "llama", {{"rms_norm_eps", bad}},
        "'rms_norm_eps': expected a number from 1e-12 to 0.1, found " + DescribeJson(&bad));
  }
  for (const json& bad : {json(0), json(-10000), json(1e13), json("10000")}) {
    ExpectRefused(
        "llama", {{"rope_theta", bad}},
        "'rope_theta': expected a number from 1 to 1000000000000, found " + DescribeJson(&bad));
  }
  ExpectRefused("qwen2", {{"rope_theta", nullptr}}, "'rope_theta'");
}

TEST(ConfigTest, RefusesUnsupportedRope) {
  const auto refused = [](const json& scaling, const std::string& message) {
    ExpectRefused("llama", {{"rope_scaling", scaling}}, message);
  };
  refused("linear", "'rope_scaling': expected an object, found 'linear'");
  refused(
      {{"rope_type", "yarn"}, {"factor", 4.0}},
      "rope_scaling: field 'rope_type': expected 'default', 'linear' or 'llama3', found 'yarn'");
  refused({{"type", "dynamic"}, {"factor", 4.0}}, "field 'type': expected 'default'");
  refused({{"type", "linear"}, {"rope_type", "llama3"}}, "field 'type': expected 'llama3'");
  refused({{"rope_type", "linear"}}, "rope_scaling: field 'factor': expected a number");
  refused({{"rope_type", "linear"}, {"factor", 0.5}}, "field 'factor': expected a number from 1");
  refused({{"rope_type", "linear"}, {"factor", 2}, {"mystery", 1}},
          "rope_scaling: field 'mystery' is not supported");
  refused({{"rope_type", "linear"}, {"factor", 2}, {"partial_rotary_factor", 0.5}},
          "'partial_rotary_factor': expected 1.0, found 0.5");
  refused({{"rope_type", "default"}, {"type, factor", 1}}, "is not supported");
  const auto llama3 = [&](const json& patch, const std::string& message) {
    ExpectRefused("llama3rope", {{"rope_scaling", patch}}, message);
  };
  llama3({{"factor", nullptr}}, "field 'factor'");
  llama3({{"low_freq_factor", nullptr}}, "field 'low_freq_factor'");
  llama3({{"high_freq_factor", 1.0}},
         "field 'high_freq_factor': expected a number above low_freq_factor (1), found 1.0");
  llama3({{"original_max_position_embeddings", 0.5}},
         "field 'original_max_position_embeddings': expected an integer");
  ExpectRefused("llama3rope", {{"rope_parameters", {{"rope_theta", 1e4}}}},
                "'rope_scaling': expected nothing beside 'rope_parameters'");
  ExpectRefused("llama", {{"rope_parameters", {{"rope_theta", 1e4}}}},
                "'rope_theta': expected 10000.0, found 500000.0");
  ExpectRefused("llama", {{"rope_parameters", {{"full_attention", {{"rope_theta", 1e4}}}}}},
                "rope_parameters: field 'full_attention' is not supported");
}

TEST(ConfigTest, LinearScalingInBothForms) {
  const Result<ModelConfig> old_form =
      ReadPatched("llama", {{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}});
  const Result<ModelConfig> new_form = ReadPatched(
      "llama",
      {{"rope_theta", nullptr},
       {"rope_parameters", {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 500000}}}});
  ASSERT_TRUE(old_form.ok() && new_form.ok());
  EXPECT_EQ(old_form->rope.scaling, RopeConfig::Scaling::kLinear);
  EXPECT_EQ(old_form->Fingerprint("x"), new_form->Fingerprint("x"));
}

TEST(ConfigTest, ThetaInsideEitherBlockCounts) {
  const Result<ModelConfig> outside = ReadPatched("llama3rope", {{"rope_theta", 123456}});
  const Result<ModelConfig> inside = ReadPatched(
      "llama3rope", {{"rope_theta", nullptr}, {"rope_scaling", {{"rope_theta", 123456}}}});
  ASSERT_TRUE(outside.ok() && inside.ok()) << inside.status().message();
  EXPECT_EQ(inside->rope.theta, 123456);
  EXPECT_EQ(outside->Fingerprint("x"), inside->Fingerprint("x"));
  ExpectRefused("llama3rope", {{"rope_theta", 1000}, {"rope_scaling", {{"rope_theta", 123456}}}},
                "rope_theta");
}

TEST(ConfigTest, RefusesSettingsThatWouldChangeTheNumbers) {
  ExpectRefused("llama", {{"hidden_act", "gelu"}}, "'hidden_act': expected 'silu', found 'gelu'");
  ExpectRefused("llama", {{"hidden_act", 1}}, "'hidden_act': expected a string");
  ExpectRefused("llama", {{"quantization_config", {{"bits", 4}}}}, "'quantization_config'");
  ExpectRefused("smollm2", {{"rope_interleaved", true}},
                "'rope_interleaved': expected false, found true");
  ExpectRefused("qwen2", {{"partial_rotary_factor", 0.5}}, "'partial_rotary_factor'");
  ExpectRefused("qwen2", {{"use_mrope", true}}, "'use_mrope'");
  ExpectRefused("qwen2", {{"attention_bias", false}}, "'attention_bias': expected true");
  ExpectRefused("mistral", {{"mlp_bias", true}}, "'mlp_bias': expected false");
  ExpectRefused("mistral", {{"attention_bias", true}}, "'attention_bias': expected false");
  ExpectRefused("llama", {{"attention_bias", "yes"}}, "'attention_bias': expected true or false");
  EXPECT_TRUE(ReadPatched("llama", {{"pretraining_tp", 4}, {"hidden_act", "swish"}}).ok());
}

TEST(ConfigTest, NamesArchitecturesThatAreNotSupported) {
  const auto refused = [](const json& patch, const std::string& message) {
    ExpectRefused("llama", patch, message);
    ExpectRefused("llama", patch, "Qwen2ForCausalLM (model_type qwen2), LlamaForCausalLM");
  };
  refused({{"architectures", {"GPT2LMHeadModel"}}, {"model_type", "gpt2"}},
          "architecture 'GPT2LMHeadModel' with model_type 'gpt2' is not supported");
  refused({{"model_type", "qwen2"}}, "'LlamaForCausalLM' with model_type 'qwen2'");
  refused({{"architectures", {"LlamaForSequenceClassification"}}}, "is not supported");
  refused({{"architectures", nullptr}, {"model_type", nullptr}}, "'architectures'");
  ExpectRefused("llama", {{"architectures", json::array()}}, "expected an array of one string");
  ExpectRefused("llama", {{"architectures", "LlamaForCausalLM"}}, "found 'LlamaForCausalLM'");
  ExpectRefused("llama", {{"model_type", 3}}, "'model_type': expected a string, found 3");
  EXPECT_TRUE(ReadPatched("llama", {{"architectures", nullptr}}).ok());
  EXPECT_TRUE(ReadPatched("llama", {{"model_type", nullptr}}).ok());
}

TEST(ConfigTest, FileErrorsNameThePathAndThePlace) {
  const ModelFolder folder("llama");
  const auto message = [&](const std::string& config) {
    folder.Write("config.json", config);
    return LoadModel(folder.path()).status().message();
  };
  const std::string path = folder.PathOf("config.json");
  EXPECT_THAT(message("{\n  \"vocab_size\": 512,\n  \"hidden_size\" 64\n}"),
              HasSubstr(path + ": not valid JSON at line 3, column 18"));
  EXPECT_EQ(message("[]"), path + ": expected a JSON object, found an array");
  EXPECT_THAT(message(""), HasSubstr(path + ": not valid JSON"));
  EXPECT_THAT(message("{\"rms_norm_eps\": NaN}"), HasSubstr("not valid JSON at line 1"));
  json fields = Published("llama");
  fields["num_hidden_layers"] = -3;
  EXPECT_EQ(message(fields.dump()),
            path + ": field 'num_hidden_layers': expected an integer from 1 to 1000, found -3");
}

}  // namespace
}  // namespace thresher
