#ifndef THRESHER_ENGINE_PJRT_DEVICE_MESH_H_
#define THRESHER_ENGINE_PJRT_DEVICE_MESH_H_

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace thresher {

// How the devices of a machine share the work.
struct DeviceMesh {
  int64_t data = 0;   // groups of devices, each with all weights and its own batches; 0: as many as
                      // there are devices for
  int64_t model = 1;  // devices of a group, which share each batch: each has a part of the weights
};

// "data=2,model=4", or one of the two. kInvalidArgument says what is expected.
Result<DeviceMesh> ParseDeviceMesh(std::string_view text);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_DEVICE_MESH_H_
