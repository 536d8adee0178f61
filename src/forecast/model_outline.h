#ifndef THRESHER_FORECAST_MODEL_OUTLINE_H_
#define THRESHER_FORECAST_MODEL_OUTLINE_H_

#include <cstdint>
#include <string>

#include "base/result.h"
#include "graph/graph.h"

namespace thresher {

// What config.json alone says of a model: enough to plan with, without any weights.
struct ModelOutline {
  std::string architecture;  // "Qwen2ForCausalLM"
  int64_t layer_count = 0;
  int64_t hidden_size = 0;
  int64_t vocabulary_size = 0;
  int64_t max_positions = 0;
  Graph graph;  // every hook point of the architecture is set
};

// Errors name file and field, as those of LoadModel.
Result<ModelOutline> ReadModelOutline(const std::string& directory);

}  // namespace thresher

#endif  // THRESHER_FORECAST_MODEL_OUTLINE_H_
