#ifndef THRESHER_ENGINE_PJRT_PJRT_CLIENT_H_
#define THRESHER_ENGINE_PJRT_PJRT_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/pjrt/compile_options.h"
#include "engine/pjrt/named_values.h"
#include "engine/pjrt/pjrt_event.h"
#include "engine/pjrt/pjrt_executable.h"
#include "engine/pjrt/pjrt_handles.h"
#include "engine/pjrt/pjrt_plugin.h"
#include "engine/pjrt/tensor_type.h"

namespace thresher {

// A device that this process can give work to.
struct PjrtDevice {
  PJRT_Device* device = nullptr;  // the client's
  int id = 0;
  std::string kind;         // "TPU v5 lite", "NVIDIA H100 80GB HBM3", "cpu"
  std::string description;  // for people
};

// Memory of a device, where its plug-in tells.
struct DeviceMemory {
  int64_t bytes_in_use = 0;
  std::optional<int64_t> bytes_limit;
};

// An array that is on its way to a device; the host memory must stay until `done`.
struct Upload {
  PjrtBuffer buffer;
  PjrtEvent done;
};

// A plug-in's devices, opened for use by this process. Some plug-ins (TPU) let one process only do
// that at a time. Thread-safe, as the API is. Must outlive everything made by it.
class PjrtClient {
 public:
  // `options` as the plug-in documents them. Errors carry the plug-in's message.
  static Result<std::unique_ptr<PjrtClient>> Create(const PjrtPlugin& plugin,
                                                    const PjrtOptions& options = {});

  const PJRT_Api& api() const { return client_.api(); }
  PJRT_Client* client() const { return client_.get(); }
  const PjrtPlugin& plugin() const { return plugin_; }
  const std::string& platform() const { return platform_; }                  // "cpu", "cuda", "tpu"
  const std::string& platform_version() const { return platform_version_; }  // for people; one line
  const std::vector<PjrtDevice>& devices() const { return devices_; }        // by id; never empty

  // Nothing if the plug-in does not tell.
  std::optional<DeviceMemory> Memory(const PjrtDevice& device) const;

  // Compiles a StableHLO module (text). Errors carry the compiler's message.
  Result<PjrtExecutable> Compile(std::string_view module, const CompileOptions& options) const;

  // An executable that PjrtExecutable::Serialize of the same plug-in wrote.
  Result<PjrtExecutable> Deserialize(std::string_view bytes, const CompileOptions& options) const;

  // Starts copying an array to a device.
  Result<Upload> StartUpload(const ArrayView& array, const PjrtDevice& device) const;

  // The same, done when it returns.
  Result<PjrtBuffer> UploadNow(const ArrayView& array, const PjrtDevice& device) const;

 private:
  PjrtClient(const PjrtPlugin& plugin, PJRT_Client* client)
      : plugin_(plugin), client_(plugin.api(), client) {}

  Status ReadPlatform();
  Status ReadDevices();

  const PjrtPlugin& plugin_;
  PjrtHandle<PJRT_Client> client_;
  std::string platform_;
  std::string platform_version_;
  std::vector<PjrtDevice> devices_;
};

// Starts copying a whole array of a device into host memory of exactly its size, row-major.
Result<PjrtEvent> StartDownload(const PjrtBuffer& buffer, size_t rank, std::span<std::byte> out);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PJRT_CLIENT_H_
