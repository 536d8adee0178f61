#include "model/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <span>

#include "base/fingerprint.h"
#include "base/json.h"

namespace thresher {
namespace {

using nlohmann::json;

// Far above every model there is, and low enough that no product of two overflows.
constexpr int64_t kMaxLayers = 1000;
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 1024;
constexpr int64_t kMaxVocabulary = int64_t{1} << 24;
constexpr int64_t kMaxPositions = 1'000'000'000;
constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;

Status CheckRopeKeys(const json& settings) {
  static const std::set<std::string> kKnown = {"rope_theta",
                                               "rope_type",
                                               "type",
                                               "factor",
                                               "low_freq_factor",
                                               "high_freq_factor",
                                               "original_max_position_embeddings",
                                               "partial_rotary_factor"};
  for (const auto& [key, value] : settings.items()) {
    if (value.is_null() || kKnown.contains(key)) continue;
    return InvalidArgument(fmt::format("field {} is not supported: expected only {}", Quoted(key),
                                       fmt::join(kKnown, ", ")));
  }
  return RequireSetting(settings, "partial_rotary_factor", 1.0);
}

// rope_scaling of published checkpoints ("type" in old ones) or rope_parameters of transformers 5.
Status ReadRopeScaling(const json& settings, RopeConfig& rope) {
  RETURN_IF_ERROR(CheckRopeKeys(settings));
  const char* type_key = HasField(settings, "rope_type") ? "rope_type" : "type";
  ASSIGN_OR_RETURN(const std::string type, StringField(settings, type_key, "default"));
  if (HasField(settings, "rope_type") && HasField(settings, "type")) {
    RETURN_IF_ERROR(RequireSetting(settings, "type", type));
  }
  if (type == "default") return OkStatus();
  if (type != "linear" && type != "llama3") {
    return FieldError(settings, type_key, "'default', 'linear' or 'llama3'");
  }
  ASSIGN_OR_RETURN(rope.factor, NumberField(settings, "factor", 1.0, kMaxFactor));
  rope.scaling = RopeConfig::Scaling::kLinear;
  if (type == "linear") return OkStatus();

  rope.scaling = RopeConfig::Scaling::kLlama3;
  ASSIGN_OR_RETURN(rope.low_frequency_factor,
                   NumberField(settings, "low_freq_factor", 1e-6, kMaxFactor));
  ASSIGN_OR_RETURN(rope.high_frequency_factor,
                   NumberField(settings, "high_freq_factor", 1e-6, kMaxFactor));
  if (rope.high_frequency_factor <= rope.low_frequency_factor) {
    return FieldError(
        settings, "high_freq_factor",
        fmt::format("a number above low_freq_factor ({})", rope.low_frequency_factor));
  }
  ASSIGN_OR_RETURN(rope.original_max_positions,
                   IntegerField(settings, "original_max_position_embeddings", 1, kMaxPositions));
  return OkStatus();
}

Result<RopeConfig> ReadRope(const json& config, const ConfigDefaults& defaults) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (HasField(config, key) && !config.at(key).is_object()) {
      return FieldError(config, key, "an object");
    }
  }
  if (HasField(config, "rope_scaling") && HasField(config, "rope_parameters")) {
    return FieldError(config, "rope_scaling", "nothing beside 'rope_parameters'");
  }
  RopeConfig rope;
  const json* theta_holder = &config;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!HasField(config, key)) continue;
    const json& block = config.at(key);
    RETURN_IF_ERROR(ReadRopeScaling(block, rope).WithContext(key));
    // Newer configurations have theta inside the block, in whichever of the two there is.
    if (!HasField(block, "rope_theta")) continue;
    RETURN_IF_ERROR(RequireSetting(config, "rope_theta", block.at("rope_theta")));
    theta_holder = &block;
  }
  ASSIGN_OR_RETURN(rope.theta,
                   NumberField(*theta_holder, "rope_theta", 1.0, kMaxTheta, defaults.rope_theta));
  return rope;
}

Status ReadHeads(const json& config, const ConfigDefaults& defaults, ModelConfig& out) {
  ASSIGN_OR_RETURN(out.heads, IntegerField(config, "num_attention_heads", 1, kMaxHeads));
  std::optional<int64_t> kv_default;
  if (defaults.kv_heads_are_heads) kv_default = out.heads;
  ASSIGN_OR_RETURN(out.kv_heads,
                   IntegerField(config, "num_key_value_heads", 1, out.heads, kv_default));
  if (out.heads % out.kv_heads != 0) {
    return FieldError(config, "num_key_value_heads",
                      fmt::format("a divisor of num_attention_heads ({})", out.heads));
  }
  if (!HasField(config, "head_dim") && out.hidden_size % out.heads != 0) {
    return FieldError(
        config, "num_attention_heads",
        fmt::format("a divisor of hidden_size ({}), as there is no head_dim", out.hidden_size));
  }
  ASSIGN_OR_RETURN(out.head_dim,
                   IntegerField(config, "head_dim", 1, kMaxHeadDim, out.hidden_size / out.heads));
  if (out.head_dim < 1 || out.head_dim > kMaxHeadDim || out.head_dim % 2 != 0) {
    return InvalidArgument(
        fmt::format("field 'head_dim' (or hidden_size / num_attention_heads): expected an even "
                    "integer from 2 to {}, found {}",
                    kMaxHeadDim, out.head_dim));
  }
  return OkStatus();
}

Status RefuseUnsupported(const json& config) {
  if (HasField(config, "hidden_act")) {
    ASSIGN_OR_RETURN(const std::string activation, StringField(config, "hidden_act"));
    if (activation != "silu" && activation != "swish") {
      return FieldError(config, "hidden_act", "'silu'");
    }
  }
  if (HasField(config, "quantization_config")) {
    return FieldError(config, "quantization_config",
                      "nothing, as quantised weights are not supported");
  }
  for (const char* name : {"rope_interleaved", "use_mrope", "qk_layernorm"}) {
    RETURN_IF_ERROR(RequireSetting(config, name, false));
  }
  return RequireSetting(config, "partial_rotary_factor", 1.0);
}

}  // namespace

std::vector<float> RopeConfig::InverseFrequencies(int64_t head_dim) const {
  std::vector<float> frequencies;
  for (int64_t c = 0; c < head_dim; c += 2) {
    double frequency = std::pow(theta, -static_cast<double>(c) / static_cast<double>(head_dim));
    if (scaling == Scaling::kLinear) frequency /= factor;
    if (scaling == Scaling::kLlama3) {
      // Llama 3.1: short wavelengths stay, long ones are stretched by `factor`, and those between
      // the two limits are blended. It holds for every sequence length.
      const double turns =
          static_cast<double>(original_max_positions) * frequency / (2 * std::numbers::pi);
      const double kept =
          (turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor);
      const double share = std::clamp(kept, 0.0, 1.0);
      frequency *= share + (1 - share) / factor;
    }
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

std::string ModelConfig::Fingerprint(const std::string& architecture) const {
  std::string text = fmt::format(
      "architecture={} vocabulary={} hidden={} intermediate={} layers={} heads={} kv_heads={} "
      "head_dim={} epsilon={:.17g} theta={:.17g} qkv_bias={} output_bias={} mlp_bias={}",
      architecture, vocabulary_size, hidden_size, intermediate_size, layer_count, heads, kv_heads,
      head_dim, rms_norm_epsilon, rope.theta, qkv_bias, attention_output_bias, mlp_bias);
  text += fmt::format(" rope_scaling={} factor={:.17g} low={:.17g} high={:.17g} original={}",
                      static_cast<int>(rope.scaling), rope.factor, rope.low_frequency_factor,
                      rope.high_frequency_factor, rope.original_max_positions);
  for (const std::optional<int64_t>& window : windows) {
    text += fmt::format(" window={}", window.value_or(0));
  }
  return FingerprintOf(std::as_bytes(std::span(text)));
}

Result<ModelConfig> ReadDecoderConfig(const json& config, const ConfigDefaults& defaults) {
  RETURN_IF_ERROR(RefuseUnsupported(config));
  ModelConfig out;
  ASSIGN_OR_RETURN(out.vocabulary_size, IntegerField(config, "vocab_size", 1, kMaxVocabulary));
  ASSIGN_OR_RETURN(out.hidden_size, IntegerField(config, "hidden_size", 1, kMaxWidth));
  ASSIGN_OR_RETURN(out.intermediate_size, IntegerField(config, "intermediate_size", 1, kMaxWidth));
  ASSIGN_OR_RETURN(out.layer_count, IntegerField(config, "num_hidden_layers", 1, kMaxLayers));
  RETURN_IF_ERROR(ReadHeads(config, defaults, out));
  ASSIGN_OR_RETURN(out.max_positions,
                   IntegerField(config, "max_position_embeddings", 1, kMaxPositions));
  ASSIGN_OR_RETURN(out.rms_norm_epsilon, NumberField(config, "rms_norm_eps", 1e-12, 0.1));
  ASSIGN_OR_RETURN(out.rope, ReadRope(config, defaults));
  out.windows.resize(static_cast<size_t>(out.layer_count));
  return out;
}

Result<int64_t> ReadSlidingWindow(const json& config) {
  return IntegerField(config, "sliding_window", 1, kMaxPositions);
}

Status RequireSetting(const json& config, const char* name, const json& only_value) {
  if (!HasField(config, name) || config.at(name) == only_value) return OkStatus();
  return FieldError(config, name, DescribeJson(&only_value));
}

}  // namespace thresher
