#include "engine/cpu/cpu_engine.h"

#include <utility>

#include "engine/cpu/graph_engine.h"

namespace thresher {

Result<std::unique_ptr<Engine>> CreateCpuEngine(const Model& model,
                                                const std::vector<HookPoint>& hooks,
                                                const CpuEngineOptions& options) {
  const WeightLookup lookup = [&](const Parameter& parameter) {
    return model.weights.Find(parameter.name, parameter.shape);
  };
  ASSIGN_OR_RETURN(std::unique_ptr<GraphEngine> engine,
                   GraphEngine::Create(model.graph, lookup, hooks, options));
  // What the engine reads of the file from now on is rows of the embedding table.
  model.weights.DropPages();
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace thresher
