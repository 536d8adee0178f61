#ifndef THRESHER_MODEL_ARCHITECTURE_H_
#define THRESHER_MODEL_ARCHITECTURE_H_

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "graph/graph.h"
#include "model/config.h"

namespace thresher {

// One model architecture: how to read its configuration and write its forward pass. To add one,
// write a file like qwen2.cc and name it in architecture.cc.
struct Architecture {
  const char* name;        // in `architectures` of config.json: "Qwen2ForCausalLM"
  const char* model_type;  // in `model_type`: "qwen2"
  Result<ModelConfig> (*read_config)(const nlohmann::json& config);
  Graph (*build_graph)(const ModelConfig& config);  // sets every hook point
};

extern const Architecture kQwen2;
extern const Architecture kLlama;
extern const Architecture kMistral;

// The architecture that config.json asks for. kInvalidArgument, with a list of those supported, if
// there is none.
Result<const Architecture*> FindArchitecture(const nlohmann::json& config);

}  // namespace thresher

#endif  // THRESHER_MODEL_ARCHITECTURE_H_
