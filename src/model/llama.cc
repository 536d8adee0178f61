#include "base/json.h"
#include "model/architecture.h"
#include "model/decoder.h"

namespace thresher {
namespace {

// Source of the definitions: LlamaConfig and LlamaAttention of transformers 5. Checkpoints of the
// first Llama have neither num_key_value_heads nor rope_theta.
Result<ModelConfig> ReadConfig(const nlohmann::json& fields) {
  ASSIGN_OR_RETURN(ModelConfig config,
                   ReadDecoderConfig(fields, {.kv_heads_are_heads = true, .rope_theta = 10000.0}));
  ASSIGN_OR_RETURN(const bool attention_bias, BoolField(fields, "attention_bias", false));
  ASSIGN_OR_RETURN(config.mlp_bias, BoolField(fields, "mlp_bias", false));
  config.qkv_bias = attention_bias;
  config.attention_output_bias = attention_bias;
  return config;
}

}  // namespace

const Architecture kLlama = {"LlamaForCausalLM", "llama", ReadConfig, BuildPreNormDecoder};

}  // namespace thresher
