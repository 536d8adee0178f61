#include "forecast/trial.h"

#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <variant>

#include "base/check.h"
#include "forecast/batch_outputs.h"

namespace thresher {
namespace {

// Sequences side by side, and the work that they are.
struct TrialBatch {
  std::vector<int32_t> token_ids;
  std::vector<int64_t> offsets = {0};
  double flops = 0;

  PackedBatch packed() const { return {.token_ids = token_ids, .sequence_offsets = offsets}; }
};

std::vector<TrialBatch> MakeBatches(std::span<const std::vector<int32_t>> sequences,
                                    int64_t max_tokens) {
  std::vector<TrialBatch> batches;
  for (const std::vector<int32_t>& sequence : sequences) {
    const auto count = static_cast<int64_t>(sequence.size());
    if (batches.empty() || batches.back().offsets.back() + count > max_tokens) {
      batches.emplace_back();
    }
    TrialBatch& batch = batches.back();
    batch.token_ids.insert(batch.token_ids.end(), sequence.begin(), sequence.end());
    batch.offsets.push_back(batch.offsets.back() + count);
  }
  return batches;
}

}  // namespace

double BatchFlops(const Graph& pruned, std::span<const int64_t> offsets) {
  double flops = pruned.CountFlops().per_token * static_cast<double>(offsets.back());
  for (const Node& node : pruned.nodes()) {
    const auto* attention = std::get_if<Attention>(&node.operation);
    if (!attention) continue;
    for (size_t s = 1; s < offsets.size(); ++s) {
      flops += 4.0 * static_cast<double>(attention->heads * attention->head_dim) *
               QueryKeyPairs(offsets[s] - offsets[s - 1], attention->window);
    }
  }
  return flops;
}

Result<TrialSpeed> RunTrial(const Model& model, const std::vector<HookPoint>& hooks,
                            const EngineOptions& options,
                            std::span<const std::vector<int32_t>> sequences, double seconds,
                            Clock& clock) {
  THRESHER_CHECK(!sequences.empty());
  ASSIGN_OR_RETURN(const Graph pruned, model.graph.PrunedTo(hooks));
  ASSIGN_OR_RETURN(const ShardFormat format,
                   ShardFormatOf(model.graph, hooks, options.stored_dtype));
  std::vector<TrialBatch> batches = MakeBatches(sequences, options.max_batch_tokens);
  int64_t most_rows = 0;
  for (TrialBatch& batch : batches) {
    batch.flops = BatchFlops(pruned, batch.offsets);
    most_rows = std::max(most_rows, batch.offsets.back());
  }
  const BatchOutputs outputs(format, most_rows);
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, CreateEngine(model, hooks, options));
  RETURN_IF_ERROR(engine->Forward(batches.front().packed(), outputs.outputs()));
  TrialSpeed speed;
  double flops = 0;
  double tokens = 0;
  const int64_t begin_us = clock.MonotonicUs();
  for (size_t next = 0; speed.seconds < seconds; ++next) {
    const TrialBatch& batch = batches[next % batches.size()];
    RETURN_IF_ERROR(engine->Forward(batch.packed(), outputs.outputs()));
    flops += batch.flops;
    tokens += static_cast<double>(batch.offsets.back());
    speed.seconds = static_cast<double>(std::max<int64_t>(1, clock.MonotonicUs() - begin_us)) / 1e6;
  }
  speed.flops_per_second = flops / speed.seconds;
  speed.tokens_per_second = tokens / speed.seconds;
  const EngineInfo& info = engine->info();
  speed.engine = fmt::format("{}, {}, {}", info.name, info.compute, info.device);
  return speed;
}

}  // namespace thresher
