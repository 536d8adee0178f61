#ifndef THRESHER_ENGINE_PJRT_COMPILE_OPTIONS_H_
#define THRESHER_ENGINE_PJRT_COMPILE_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace thresher {

// What a compilation is told beside the program.
struct CompileOptions {
  // Devices that one execution uses together; the program's sharding annotations (Shardy) say how
  // its values are split over them.
  int64_t partitions = 1;
  // The ids of those devices, [partitions]. Empty, with one partition: the executable may run on
  // any device of the client.
  std::vector<int> device_ids;
};

// XLA's CompileOptionsProto (xla/pjrt/proto/compile_options.proto), serialized.
std::string SerializeCompileOptions(const CompileOptions& options);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_COMPILE_OPTIONS_H_
