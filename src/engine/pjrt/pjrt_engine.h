#ifndef THRESHER_ENGINE_PJRT_PJRT_ENGINE_H_
#define THRESHER_ENGINE_PJRT_PJRT_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/common/weight_lookup.h"
#include "engine/engine.h"
#include "engine/pjrt/device_mesh.h"
#include "engine/pjrt/pjrt_client.h"
#include "graph/graph.h"

namespace thresher {

struct PjrtEngineOptions {
  std::string name;              // "tpu", "xla-cpu", ...: EngineInfo's
  DType compute = DType::kBf16;  // kF32 or kBf16
  DType stored_dtype = DType::kBf16;
  int64_t max_batch_tokens = 2048;
  // Of a batch's tokens, the part whose rows are likely to be stored: what is compiled beside the
  // upload of the weights.
  double stored_share = 1;
  DeviceMesh mesh;
  bool loop_layers = true;        // GraphProgramOptions
  int64_t attention_block = 512;  // GraphProgramOptions
  // GraphProgramOptions; nothing: what suits the plug-in.
  std::optional<int64_t> whole_attention_up_to;
  bool cudnn_attention = false;  // GraphProgramOptions
  std::string executable_cache;  // folder of compiled programs; empty: none is kept
  // A batch that is not there after so long means a device that hangs: `on_hang` is called with a
  // message, and must not return, for nothing that the device holds can be freed.
  std::optional<int64_t> device_timeout_ms;
  std::function<void(const std::string& message)> on_hang;
  // For measurements: while it is false, batches are computed, and their rows stay on the devices.
  // Nothing: rows are brought to the host.
  std::shared_ptr<const bool> brings_rows;
};

// The engine that runs the graph on the devices of a PJRT client: weights go to the devices once,
// batches are padded to one of a few sizes, each of which is compiled when it is first needed, and
// two batches are in flight on each group of devices. Of a batch that stores selected tokens only,
// only their rows cross to the host. `lookup`'s data must outlive the engine.
// kInvalidArgument if the model has no such hook point, the mesh does not fit the devices, or
// attention cannot be cuDNN's;
// kResourceExhausted if the weights do not fit.
//
// A batch for which the devices' memory does not suffice, as the compiler or the device says, is
// run again in parts that fit a smaller size, and no larger ones are tried from then on.
Result<std::unique_ptr<Engine>> CreatePjrtEngine(std::unique_ptr<PjrtClient> client,
                                                 const Graph& graph, const WeightLookup& lookup,
                                                 const std::vector<HookPoint>& hooks,
                                                 const PjrtEngineOptions& options);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PJRT_ENGINE_H_
