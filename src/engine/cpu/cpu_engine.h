#ifndef THRESHER_ENGINE_CPU_CPU_ENGINE_H_
#define THRESHER_ENGINE_CPU_CPU_ENGINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/engine.h"
#include "graph/hook_point.h"
#include "model/model.h"

namespace thresher {

enum class CpuCompute {
  kAuto,  // bf16 where the processor has bf16 arithmetic, else f32
  kF32,
  kBf16,
};

struct CpuEngineOptions {
  CpuCompute compute = CpuCompute::kAuto;
  int threads = 0;  // 0: all cores that this process may use
  int64_t max_batch_tokens = 2048;
  DType stored_dtype = DType::kBf16;
  // Whether the MLP's last product is summed up block by block of its input's columns, while they
  // are in a core's cache. Nothing: where it is faster, which is with AMX. Changes last bits.
  std::optional<bool> sums_gate_blocks = std::nullopt;
  // Whether bf16 products run on the tile unit (AMX) by our own kernels instead of oneDNN's.
  // Nothing: where there is one. Changes last bits.
  std::optional<bool> on_tiles = std::nullopt;
};

// True if this processor multiplies bf16 matrices in hardware (AVX512-BF16 or AMX).
bool ProcessorHasBf16();

// Packs the weights that the hook points need. `model` must outlive the engine: the embedding table
// is read from its mapped files. `hooks` must be sorted and not empty; kInvalidArgument if the
// model has no such hook point.
Result<std::unique_ptr<Engine>> CreateCpuEngine(const Model& model,
                                                const std::vector<HookPoint>& hooks,
                                                const CpuEngineOptions& options);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_CPU_ENGINE_H_
