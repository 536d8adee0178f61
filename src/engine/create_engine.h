#ifndef THRESHER_ENGINE_CREATE_ENGINE_H_
#define THRESHER_ENGINE_CREATE_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/pjrt/device_mesh.h"
#include "engine/pjrt/pjrt_client.h"
#include "engine/pjrt/pjrt_engine.h"
#include "graph/hook_point.h"
#include "model/model.h"

namespace thresher {

// Engines by the names that users give them: "cpu"; those of plug-ins ("tpu", "cuda", "xla-cpu",
// ..., plugins/plugin_catalog.h); and "pjrt:/path/to/plugin.so".
Status CheckEngineName(std::string_view engine);

// The plug-in that an engine runs through; nothing for "cpu". Errors say what to do.
Result<const PjrtPlugin*> LoadEnginePlugin(std::string_view engine);

// What a run's record says of an engine beside its name: "" for "cpu", else the plug-in's library
// and its versions, and what changes the last bits. Loads the plug-in, opens no device.
Result<std::string> EnginePluginText(std::string_view engine, bool cudnn_attention);

// What the engine's plug-in is told when its devices are opened. Of a GPU's memory, the CUDA
// plug-ins take a part at once and never more; three quarters unless told otherwise, which is meant
// for processes that share a GPU. A tenth is left for what is not in that part, such as NCCL's
// buffers.
PjrtOptions ClientOptionsOf(std::string_view engine);

// Whether the engine multiplies bf16 in hardware, as far as can be told without opening a device.
bool EngineHasBf16(std::string_view engine);

struct EngineOptions {
  std::string engine = "cpu";
  DType compute = DType::kF32;  // kF32 or kBf16
  int threads = 0;              // of "cpu"; 0: all cores that this process may use
  int64_t max_batch_tokens = 2048;
  DType stored_dtype = DType::kBf16;
  // Of the engines on devices, as PjrtEngineOptions has them.
  double stored_share = 1;
  bool cudnn_attention = false;
  DeviceMesh mesh = {};
  std::string executable_cache = {};
  std::optional<int64_t> device_timeout_ms = {};
  std::function<void(const std::string& message)> on_hang = {};
};

// The part of them that the engines on devices take.
PjrtEngineOptions PjrtOptionsOf(const EngineOptions& options);

// Loads `model`, which must outlive the engine. `hooks` must be sorted and not empty;
// kInvalidArgument if the model has no such hook point or the engine no such arithmetic.
Result<std::unique_ptr<Engine>> CreateEngine(const Model& model,
                                             const std::vector<HookPoint>& hooks,
                                             const EngineOptions& options);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CREATE_ENGINE_H_
