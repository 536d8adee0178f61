#include "engine/pjrt/compile_options.h"

namespace thresher {
namespace {

// Protocol Buffers' wire format, as far as it is needed: fields that are integers or messages.
void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}
void AppendInteger(int field, int64_t value, std::string& out) {
  AppendVarint(static_cast<uint64_t>(field) << 3, out);
  AppendVarint(static_cast<uint64_t>(value), out);
}
void AppendMessage(int field, const std::string& message, std::string& out) {
  AppendVarint((static_cast<uint64_t>(field) << 3) | 2, out);
  AppendVarint(message.size(), out);
  out += message;
}

// Field numbers of CompileOptionsProto, ExecutableBuildOptionsProto and DeviceAssignmentProto.
constexpr int kExecutableBuildOptions = 3;
constexpr int kCompilePortableExecutable = 4;
constexpr int kDeviceOrdinal = 1;
constexpr int kNumReplicas = 4;
constexpr int kNumPartitions = 5;
constexpr int kUseSpmdPartitioning = 6;
constexpr int kDeviceAssignment = 9;
constexpr int kUseShardyPartitioner = 19;
constexpr int kReplicaCount = 1;
constexpr int kComputationCount = 2;
constexpr int kComputationDevices = 3;
constexpr int kReplicaDeviceIds = 1;

}  // namespace

std::string SerializeCompileOptions(const CompileOptions& options) {
  std::string build;
  AppendInteger(kDeviceOrdinal, -1, build);
  AppendInteger(kNumReplicas, 1, build);
  AppendInteger(kNumPartitions, options.partitions, build);
  if (options.partitions > 1) {
    AppendInteger(kUseSpmdPartitioning, 1, build);
    AppendInteger(kUseShardyPartitioner, 1, build);
  }
  if (!options.device_ids.empty()) {
    std::string assignment;
    AppendInteger(kReplicaCount, 1, assignment);
    AppendInteger(kComputationCount, options.partitions, assignment);
    for (const int id : options.device_ids) {
      std::string packed;
      AppendVarint(static_cast<uint64_t>(id), packed);
      std::string computation;
      AppendMessage(kReplicaDeviceIds, packed, computation);
      AppendMessage(kComputationDevices, computation, assignment);
    }
    AppendMessage(kDeviceAssignment, assignment, build);
  }
  std::string out;
  AppendMessage(kExecutableBuildOptions, build, out);
  if (options.partitions == 1 && options.device_ids.empty()) {
    AppendInteger(kCompilePortableExecutable, 1, out);
  }
  return out;
}

}  // namespace thresher
