#ifndef THRESHER_ENGINE_COMMON_ENGINE_CHECKS_H_
#define THRESHER_ENGINE_COMMON_ENGINE_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/engine.h"
#include "graph/hook_point.h"

namespace thresher {

// What every engine demands of its hook points: sorted, each once, at least one.
Status CheckHooks(const std::vector<HookPoint>& hooks);

// What an engine was made for, as far as a batch must fit it.
struct BatchLimits {
  size_t hook_count = 0;
  DType stored_dtype = DType::kF32;
  int64_t vocabulary = 0;
};

// kInvalidArgument unless batch and outputs are as engine.h describes them.
Status CheckBatch(const PackedBatch& batch, std::span<const HookOutput> outputs,
                  const BatchLimits& limits);

}  // namespace thresher

#endif  // THRESHER_ENGINE_COMMON_ENGINE_CHECKS_H_
