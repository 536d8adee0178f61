#ifndef THRESHER_ENGINE_PJRT_PJRT_EXECUTABLE_H_
#define THRESHER_ENGINE_PJRT_PJRT_EXECUTABLE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/pjrt/pjrt_handles.h"

namespace thresher {

// Memory that one execution takes on each device, as the compiler says.
struct CompiledMemory {
  int64_t arguments_bytes = 0;
  int64_t outputs_bytes = 0;
  int64_t temporaries_bytes = 0;
  int64_t code_bytes = 0;
};

// What can be asked of a compiled program, loaded on devices or not (compiled for a topology).
Result<CompiledMemory> CompiledMemoryOf(const PjrtHandle<PJRT_Executable>& executable);

// Name -> value of the compiler's cost analysis ("flops", "bytes accessed"). A loop's body counts
// once. Values that are no numbers are left out.
Result<std::map<std::string, double>> CostAnalysisOf(const PjrtHandle<PJRT_Executable>& executable);

// A program on the devices of a client. Thread-safe, as the API is.
class PjrtExecutable {
 public:
  static Result<PjrtExecutable> Own(PjrtHandle<PJRT_LoadedExecutable> loaded);

  // One execution: what each device gave, and when it is done.
  struct Execution {
    std::vector<std::vector<PjrtBuffer>> outputs;  // [devices][outputs]
    std::vector<PjrtEvent> done;                   // [devices]
  };

  // Enqueues an execution with arguments[d] on the d-th device that it was compiled for; none is
  // used up. `device`, with one argument list: where a program that runs on any device runs.
  Result<Execution> Execute(std::span<const std::vector<PJRT_Buffer*>> arguments,
                            PJRT_Device* device = nullptr) const;

  // What is asked of it without running it.
  Result<PjrtHandle<PJRT_Executable>> Unloaded() const;

  // Bytes for PjrtClient::Deserialize; kFailedPrecondition if the plug-in cannot.
  Result<std::string> Serialize() const;

 private:
  explicit PjrtExecutable(PjrtHandle<PJRT_LoadedExecutable> loaded) : loaded_(std::move(loaded)) {}

  PjrtHandle<PJRT_LoadedExecutable> loaded_;
  size_t output_count_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PJRT_EXECUTABLE_H_
