#include "benchmark/random_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/random.h"

namespace thresher {
namespace {

// What differs between the shapes; the rest is that of the family.
const std::map<std::string, std::string_view, std::less<>>& Configs() {
  static const std::map<std::string, std::string_view, std::less<>> kConfigs = {
      {"qwen2.5-0.5b", R"("model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
        "vocab_size": 151936, "rope_theta": 1000000.0)"},
      {"qwen2.5-1.5b", R"("model_type": "qwen2", "hidden_size": 1536, "intermediate_size": 8960,
        "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
        "vocab_size": 151936, "rope_theta": 1000000.0)"},
      {"qwen2.5-7b", R"("model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944,
        "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
        "vocab_size": 152064, "rope_theta": 1000000.0)"},
      {"qwen2.5-14b", R"("model_type": "qwen2", "hidden_size": 5120, "intermediate_size": 13824,
        "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": 8,
        "vocab_size": 152064, "rope_theta": 1000000.0)"},
      {"qwen2.5-32b", R"("model_type": "qwen2", "hidden_size": 5120, "intermediate_size": 27648,
        "num_hidden_layers": 64, "num_attention_heads": 40, "num_key_value_heads": 8,
        "vocab_size": 152064, "rope_theta": 1000000.0)"},
      {"qwen2.5-72b", R"("model_type": "qwen2", "hidden_size": 8192, "intermediate_size": 29568,
        "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
        "vocab_size": 152064, "rope_theta": 1000000.0)"},
      {"smollm2-135m", R"("model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "vocab_size": 49152, "rope_theta": 100000.0)"},
      {"tiny", R"("model_type": "qwen2", "hidden_size": 96, "intermediate_size": 256,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": 512, "rope_theta": 10000.0)"},
  };
  return kConfigs;
}

int64_t ElementCount(const Parameter& parameter) {
  int64_t count = 1;
  for (const int64_t extent : parameter.shape) count *= extent;
  return count;
}

}  // namespace

std::vector<std::string> RandomModel::Shapes() {
  std::vector<std::string> names;
  names.reserve(Configs().size());
  for (const auto& [name, config] : Configs()) names.push_back(name);
  return names;
}

Result<ModelOutline> RandomModel::OutlineOf(const std::string& shape) {
  const auto config = Configs().find(shape);
  if (config == Configs().end()) {
    return InvalidArgument(fmt::format("--shape: expected one of {}, found {}",
                                       fmt::join(Shapes(), ", "), Quoted(shape)));
  }
  return ParseModelOutline(
      fmt::format(R"({{{}, "max_position_embeddings": 32768, "rms_norm_eps": 1e-06,
                      "hidden_act": "silu", "tie_word_embeddings": true}})",
                  config->second));
}

Result<RandomModel> RandomModel::Make(const std::string& shape) {
  ASSIGN_OR_RETURN(ModelOutline outline, OutlineOf(shape));
  return RandomModel(std::move(outline));
}

RandomModel::RandomModel(ModelOutline outline) : outline_(std::move(outline)) {
  int64_t largest = 0;
  for (const Parameter& parameter : outline_.graph.parameters()) {
    largest = std::max(largest, ElementCount(parameter));
  }
  Random random(1);
  elements_.resize(static_cast<size_t>(largest));
  for (uint16_t& element : elements_) {
    // Sign and mantissa at random, magnitude between 1/32 and 1/16.
    element = static_cast<uint16_t>(0x3d00 | (random.Next() & 0x807f));
  }
}

WeightLookup RandomModel::weights() const {
  return [this](const Parameter& parameter) -> Result<WeightView> {
    return WeightView{.dtype = DType::kBf16,
                      .shape = parameter.shape,
                      .data = reinterpret_cast<const std::byte*>(elements_.data()),
                      .file = "random"};
  };
}

}  // namespace thresher
