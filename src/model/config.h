#ifndef THRESHER_MODEL_CONFIG_H_
#define THRESHER_MODEL_CONFIG_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace thresher {

// Rotary position embedding as the configuration describes it.
struct RopeConfig {
  enum class Scaling { kNone, kLinear, kLlama3 };

  double theta = 0;
  Scaling scaling = Scaling::kNone;
  double factor = 1;  // kLinear and kLlama3; the other fields kLlama3 only
  double low_frequency_factor = 0;
  double high_frequency_factor = 0;
  int64_t original_max_positions = 0;

  // [head_dim / 2] angles per position, in radians.
  std::vector<float> InverseFrequencies(int64_t head_dim) const;
};

// The settings of a decoder (RMS norms, rotary attention, gated MLP) that change what it computes,
// all checked: positive, bounded, and consistent with each other.
struct ModelConfig {
  int64_t vocabulary_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layer_count = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;       // divides heads
  int64_t head_dim = 0;       // even
  int64_t max_positions = 0;  // the only setting that changes no number
  double rms_norm_epsilon = 0;
  RopeConfig rope;
  bool qkv_bias = false;
  bool attention_output_bias = false;
  bool mlp_bias = false;
  std::vector<std::optional<int64_t>> windows;  // [layer_count] sliding window of each layer

  // "xxh3-128:..." of the architecture's name and every setting above but max_positions.
  std::string Fingerprint(const std::string& architecture) const;
};

// What an absent field of config.json means, which differs between architectures. A field without a
// default here is required.
struct ConfigDefaults {
  bool kv_heads_are_heads = false;
  std::optional<double> rope_theta;
};

// Reads what all architectures share; leaves biases false and windows absent. Understands the key
// names of published checkpoints (rope_theta, rope_scaling) and of transformers 5
// (rope_parameters). Settings that would change the numbers and are not supported are refused.
// Messages name the field, what was expected and what was found; the caller adds the file's name.
Result<ModelConfig> ReadDecoderConfig(const nlohmann::json& config, const ConfigDefaults& defaults);

// The sliding window, which must be there.
Result<int64_t> ReadSlidingWindow(const nlohmann::json& config);

// kInvalidArgument unless the field is absent or equals `only_value`: for settings that this
// program has no other form of.
Status RequireSetting(const nlohmann::json& config, const char* name,
                      const nlohmann::json& only_value);

}  // namespace thresher

#endif  // THRESHER_MODEL_CONFIG_H_
