#include "base/json.h"
#include "model/architecture.h"
#include "model/decoder.h"

namespace thresher {
namespace {

using nlohmann::json;

constexpr char kSliding[] = "sliding_attention";
constexpr char kFull[] = "full_attention";

// Which layers have a sliding window: those that layer_types names, or, in configurations without
// it, those from max_window_layers on; none unless use_sliding_window is true.
Status ReadWindows(const json& fields, ModelConfig& config) {
  const auto layers = static_cast<size_t>(config.layer_count);
  ASSIGN_OR_RETURN(const bool use_window, BoolField(fields, "use_sliding_window", false));
  std::vector<bool> slides(layers, false);
  if (HasField(fields, "layer_types")) {
    const json& types = fields.at("layer_types");
    if (!types.is_array() || types.size() != layers) {
      return FieldError(fields, "layer_types",
                        "an array of num_hidden_layers (" + std::to_string(layers) + ") strings");
    }
    for (size_t i = 0; i < layers; ++i) {
      if (types[i] != kSliding && types[i] != kFull) {
        return InvalidArgument("field 'layer_types': layer " + std::to_string(i) +
                               ": expected 'full_attention' or 'sliding_attention', found " +
                               DescribeJson(&types[i]));
      }
      slides[i] = types[i] == kSliding;
      if (slides[i] && !use_window) {
        return FieldError(fields, "use_sliding_window",
                          "true, as layer_types has sliding_attention");
      }
    }
  } else if (use_window) {
    ASSIGN_OR_RETURN(const int64_t first, IntegerField(fields, "max_window_layers", 0, 1'000'000));
    for (size_t i = 0; i < layers; ++i) slides[i] = static_cast<int64_t>(i) >= first;
  }
  for (size_t i = 0; i < layers; ++i) {
    if (!slides[i]) continue;
    ASSIGN_OR_RETURN(config.windows[i], ReadSlidingWindow(fields));
  }
  return OkStatus();
}

// Source of the definitions: Qwen2Config and Qwen2Attention of transformers 5.
Result<ModelConfig> ReadConfig(const json& fields) {
  ASSIGN_OR_RETURN(ModelConfig config, ReadDecoderConfig(fields, {}));
  RETURN_IF_ERROR(RequireSetting(fields, "mlp_bias", false));
  RETURN_IF_ERROR(RequireSetting(fields, "attention_bias", true));
  config.qkv_bias = true;
  RETURN_IF_ERROR(ReadWindows(fields, config));
  return config;
}

}  // namespace

const Architecture kQwen2 = {"Qwen2ForCausalLM", "qwen2", ReadConfig, BuildPreNormDecoder};

}  // namespace thresher
