#include "engine/common/engine_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace thresher {

Status CheckHooks(const std::vector<HookPoint>& hooks) {
  if (hooks.empty()) return InvalidArgument("no hook points: there is nothing to compute");
  if (std::ranges::adjacent_find(hooks, std::greater_equal<>()) != hooks.end()) {
    return InvalidArgument("the hook points must be sorted, each once");
  }
  return OkStatus();
}

Status CheckBatch(const PackedBatch& batch, std::span<const HookOutput> outputs,
                  const BatchLimits& limits) {
  const std::span<const int64_t> offsets = batch.sequence_offsets;
  const auto tokens = static_cast<int64_t>(batch.token_ids.size());
  if (offsets.size() < 2 || offsets.front() != 0 || offsets.back() != tokens) {
    return InvalidArgument("sequence offsets must go from 0 to the number of tokens");
  }
  if (std::ranges::adjacent_find(offsets, std::greater_equal<>()) != offsets.end()) {
    return InvalidArgument("sequence offsets must rise: no sequence is empty");
  }
  if (outputs.size() != limits.hook_count) {
    return InvalidArgument(
        fmt::format("{} outputs for {} hook points", outputs.size(), limits.hook_count));
  }
  for (const HookOutput& output : outputs) {
    if (output.rows == nullptr || (HasScale(limits.stored_dtype) && output.scales == nullptr)) {
      return InvalidArgument("an output has no memory for its rows or their scales");
    }
  }
  for (size_t t = 0; t < batch.token_ids.size(); ++t) {
    const int32_t id = batch.token_ids[t];
    if (id < 0 || id >= limits.vocabulary) {
      return InvalidArgument(
          fmt::format("token id {} (token {} of the batch) is outside the vocabulary of {} entries",
                      id, t, limits.vocabulary));
    }
  }
  if (!batch.stored_tokens || batch.stored_tokens->empty()) return OkStatus();
  const std::span<const int32_t> stored = *batch.stored_tokens;
  if (std::ranges::adjacent_find(stored, std::greater_equal<>()) != stored.end() ||
      stored.front() < 0 || stored.back() >= tokens) {
    return InvalidArgument("the stored tokens must be tokens of the batch, in order, each once");
  }
  return OkStatus();
}

}  // namespace thresher
