#include "base/json.h"
#include "model/architecture.h"
#include "model/decoder.h"

namespace thresher {
namespace {

// Source of the definitions: MistralConfig and MistralAttention of transformers 5. The window, if
// there is one, holds in every layer.
Result<ModelConfig> ReadConfig(const nlohmann::json& fields) {
  ASSIGN_OR_RETURN(ModelConfig config, ReadDecoderConfig(fields, {.rope_theta = 10000.0}));
  RETURN_IF_ERROR(RequireSetting(fields, "attention_bias", false));
  RETURN_IF_ERROR(RequireSetting(fields, "mlp_bias", false));
  if (HasField(fields, "sliding_window")) {
    ASSIGN_OR_RETURN(const int64_t window, ReadSlidingWindow(fields));
    config.windows.assign(config.windows.size(), window);
  }
  return config;
}

}  // namespace

const Architecture kMistral = {"MistralForCausalLM", "mistral", ReadConfig, BuildPreNormDecoder};

}  // namespace thresher
