#include "shard/layout.h"

#include <utility>

#include "base/check.h"

namespace thresher {

ShardLayout LayOutShard(const ShardSpec& spec) {
  THRESHER_CHECK(spec.token_count >= 0 && spec.sequence_count >= 0);
  ShardLayout layout;
  auto add = [&](std::string name, DType dtype, std::vector<int64_t> shape) {
    layout.tensors.push_back({.name = std::move(name), .dtype = dtype, .shape = std::move(shape)});
  };
  for (const ShardHook& hook : spec.hooks) {
    add(hook.name, spec.dtype, {spec.token_count, hook.width});
  }
  if (HasScale(spec.dtype)) {
    for (const ShardHook& hook : spec.hooks) {
      add(hook.name + ".scale", DType::kF32, {spec.token_count});
    }
  }
  add("sample_index", DType::kI64, {spec.sequence_count});
  add("sequence_offsets", DType::kI64, {spec.sequence_count + 1});
  add("token_ids", DType::kI32, {spec.token_count});
  add("positions", DType::kI32, {spec.token_count});
  layout.header = BuildSafetensorsHeader(layout.tensors, spec.metadata);
  layout.file_bytes = layout.tensors.back().end;
  return layout;
}

}  // namespace thresher
