#ifndef THRESHER_BENCHMARK_RANDOM_MODEL_H_
#define THRESHER_BENCHMARK_RANDOM_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/cpu/graph_engine.h"
#include "model/model.h"

namespace thresher {

// A model of a published shape whose weights are random and in no file: its cost is that of the
// real one, its activations mean nothing.
class RandomModel {
 public:
  // `shape`: one of Shapes(). kInvalidArgument lists them.
  static Result<RandomModel> Make(const std::string& shape);

  static std::vector<std::string> Shapes();

  // What Make gives weights to; errors as its own.
  static Result<ModelOutline> OutlineOf(const std::string& shape);

  const ModelOutline& outline() const { return outline_; }

  // Of bf16 weights; borrows this object.
  WeightLookup weights() const;

 private:
  explicit RandomModel(ModelOutline outline);

  ModelOutline outline_;
  std::vector<uint16_t> elements_;  // as many as the largest parameter has: each reads the same
};

}  // namespace thresher

#endif  // THRESHER_BENCHMARK_RANDOM_MODEL_H_
