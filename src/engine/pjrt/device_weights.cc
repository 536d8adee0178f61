#include "engine/pjrt/device_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/byte_size.h"
#include "base/check.h"
#include "shard/convert.h"

namespace thresher {
namespace {

// Values that are widened to f32 at a time, where neither side is f32.
constexpr int64_t kChunk = 1 << 16;

void ConvertElements(const std::byte* in, DType from, int64_t count, DType to, std::byte* out) {
  if (from == to) {
    std::memcpy(out, in, static_cast<size_t>(count * DTypeBytes(to)));
    return;
  }
  std::vector<float> widened(static_cast<size_t>(std::min(count, kChunk)));
  for (int64_t i = 0; i < count; i += kChunk) {
    const int64_t chunk = std::min(kChunk, count - i);
    DecodeRows(in + i * DTypeBytes(from), nullptr, 1, chunk, from, widened.data());
    EncodeRows(widened.data(), 1, chunk, chunk, to, out + i * DTypeBytes(to), nullptr);
  }
}

Status OutOfMemory(const Status& status, const PjrtClient& client, int64_t weight_bytes) {
  if (status.code() != Code::kResourceExhausted) return status;
  return ResourceExhausted(
      fmt::format("the weights ({} on each device) do not fit into the memory of {}: split the "
                  "model over more devices (--mesh model=N), or use --compute bf16; {}",
                  FormatBytes(static_cast<double>(weight_bytes)), client.devices().front().kind,
                  status.message()));
}

}  // namespace

Result<HostArray> LoadWeightArgument(const ProgramArgument& argument, const Graph& graph,
                                     const WeightLookup& lookup) {
  const auto& weight = std::get<WeightArgument>(argument.meaning);
  HostArray array(argument.type);
  const auto parts = static_cast<int64_t>(weight.parameters.size());
  const int64_t part_elements = argument.type.element_count() / parts;
  std::byte* out = array.data();
  for (const ParameterId id : weight.parameters) {
    ASSIGN_OR_RETURN(const WeightView view, lookup(graph.parameter(id)));
    ConvertElements(view.data, view.dtype, part_elements, argument.type.dtype, out);
    out += part_elements * DTypeBytes(argument.type.dtype);
  }
  return array;
}

HostArray CutShard(const HostArray& array, const Sharding& sharding, int64_t index, int64_t count) {
  const auto split = std::ranges::find(sharding, true);
  if (count == 1 || split == sharding.end()) return array;
  const auto axis = static_cast<size_t>(split - sharding.begin());
  TensorType type = array.type();
  THRESHER_CHECK(type.shape[axis] % count == 0);
  type.shape[axis] /= count;
  HostArray part(type);
  int64_t outer = 1;
  for (size_t i = 0; i < axis; ++i) outer *= type.shape[i];
  const int64_t run = type.bytes() / outer;
  const std::byte* data = array.view().data;
  for (int64_t i = 0; i < outer; ++i) {
    std::memcpy(part.data() + i * run, data + (i * count + index) * run, static_cast<size_t>(run));
  }
  return part;
}

Result<DeviceWeights> UploadWeights(const PjrtClient& client,
                                    std::span<const std::vector<PjrtDevice>> groups,
                                    const GraphProgram& program, const Graph& graph,
                                    const WeightLookup& lookup) {
  DeviceWeights weights(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) weights[g].resize(groups[g].size());
  int64_t device_bytes = 0;
  for (const ProgramArgument& argument : program.arguments) {
    if (!std::holds_alternative<WeightArgument>(argument.meaning)) break;
    ASSIGN_OR_RETURN(const HostArray array, LoadWeightArgument(argument, graph, lookup));
    const size_t shards = groups.front().size();
    for (size_t d = 0; d < shards; ++d) {
      const HostArray part =
          CutShard(array, argument.sharding, static_cast<int64_t>(d), static_cast<int64_t>(shards));
      if (d == 0) device_bytes += part.type().bytes();
      std::vector<PjrtEvent> copies;
      for (size_t g = 0; g < groups.size(); ++g) {
        Result<Upload> upload = client.StartUpload(part.view(), groups[g][d]);
        if (!upload.ok()) return OutOfMemory(upload.status(), client, device_bytes);
        weights[g][d].push_back(std::move(upload->buffer));
        copies.push_back(std::move(upload->done));
      }
      for (PjrtEvent& copy : copies) {
        const Status status = AwaitPjrtEvent(std::move(copy), "copying weights to the device");
        if (!status.ok()) return OutOfMemory(status, client, device_bytes);
      }
    }
  }
  return weights;
}

}  // namespace thresher
