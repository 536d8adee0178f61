#ifndef THRESHER_MODEL_MODEL_H_
#define THRESHER_MODEL_MODEL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "graph/graph.h"
#include "model/weights.h"

namespace thresher {

// What config.json alone says of a model: enough to plan with, without any weights.
struct ModelOutline {
  std::string architecture;  // "Qwen2ForCausalLM"
  int64_t layer_count = 0;
  int64_t hidden_size = 0;
  int64_t vocabulary_size = 0;
  int64_t max_positions = 0;       // max_position_embeddings of config.json
  std::string config_fingerprint;  // "xxh3-128:...": of the settings that change the computation
  Graph graph;                     // every hook point of the architecture is set
};

// Of the text of a config.json. Errors name the field.
Result<ModelOutline> ParseModelOutline(std::string_view config_json);

// Errors name file and field, as those of LoadModel.
Result<ModelOutline> ReadModelOutline(const std::string& directory);

// A model as a folder in Hugging Face layout describes it: config.json and safetensors files.
struct Model : ModelOutline {
  std::string directory;
  Weights weights;
};

// Reads and checks the folder: every parameter of the graph exists in the weights with the shape
// that the configuration implies and a floating-point dtype. Errors name file, field or tensor,
// expected and found, and what to do. Reads no weight data.
Result<Model> LoadModel(const std::string& directory);

}  // namespace thresher

#endif  // THRESHER_MODEL_MODEL_H_
