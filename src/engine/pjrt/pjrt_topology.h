#ifndef THRESHER_ENGINE_PJRT_PJRT_TOPOLOGY_H_
#define THRESHER_ENGINE_PJRT_PJRT_TOPOLOGY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/pjrt/compile_options.h"
#include "engine/pjrt/named_values.h"
#include "engine/pjrt/pjrt_handles.h"
#include "engine/pjrt/pjrt_plugin.h"

namespace thresher {

// Devices that need not be here, to compile for. Immutable; thread-safe.
class PjrtTopology {
 public:
  // `name` as the plug-in knows them: "v5e:2x2". Errors carry the plug-in's message.
  static Result<PjrtTopology> Create(const PjrtPlugin& plugin, const std::string& name,
                                     const PjrtOptions& options = {});

  int64_t device_count() const { return device_count_; }

  // Compiles a StableHLO module (text). The result can be asked for costs and memory.
  Result<PjrtHandle<PJRT_Executable>> Compile(std::string_view module,
                                              const CompileOptions& options) const;

 private:
  explicit PjrtTopology(PjrtHandle<PJRT_TopologyDescription> topology)
      : topology_(std::move(topology)) {}

  PjrtHandle<PJRT_TopologyDescription> topology_;
  int64_t device_count_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PJRT_TOPOLOGY_H_
