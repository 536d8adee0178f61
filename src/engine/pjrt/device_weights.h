#ifndef THRESHER_ENGINE_PJRT_DEVICE_WEIGHTS_H_
#define THRESHER_ENGINE_PJRT_DEVICE_WEIGHTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/common/weight_lookup.h"
#include "engine/pjrt/graph_program.h"
#include "engine/pjrt/host_array.h"
#include "engine/pjrt/pjrt_client.h"

namespace thresher {

// A weight argument as host memory, converted to the argument's dtype (to nearest, ties to even).
Result<HostArray> LoadWeightArgument(const ProgramArgument& argument, const Graph& graph,
                                     const WeightLookup& lookup);

// The part `index` of `count` equal ones of an array, cut along the axis that `sharding` splits;
// the whole array if it splits none.
HostArray CutShard(const HostArray& array, const Sharding& sharding, int64_t index, int64_t count);

// The weights of a program on the devices of some groups, each of which runs the program by itself:
// [groups][devices of the group][weight arguments]. One argument at a time is converted and copied,
// so that host memory holds little more than the largest of them. kResourceExhausted, with what to
// do, if the devices' memory is too small.
using DeviceWeights = std::vector<std::vector<std::vector<PjrtBuffer>>>;
Result<DeviceWeights> UploadWeights(const PjrtClient& client,
                                    std::span<const std::vector<PjrtDevice>> groups,
                                    const GraphProgram& program, const Graph& graph,
                                    const WeightLookup& lookup);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_DEVICE_WEIGHTS_H_
