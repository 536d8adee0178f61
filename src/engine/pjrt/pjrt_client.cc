#include "engine/pjrt/pjrt_client.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

constexpr std::string_view kFormat = "mlir";

PJRT_Buffer_Type BufferType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return PJRT_Buffer_Type_F32;
    case DType::kF16:
      return PJRT_Buffer_Type_F16;
    case DType::kBf16:
      return PJRT_Buffer_Type_BF16;
    case DType::kF8E4M3:
      return PJRT_Buffer_Type_F8E4M3FN;
    case DType::kI8:
      return PJRT_Buffer_Type_S8;
    case DType::kI32:
      return PJRT_Buffer_Type_S32;
    case DType::kI64:
      return PJRT_Buffer_Type_S64;
  }
  THRESHER_CHECK(false);
  return PJRT_Buffer_Type_INVALID;
}

Result<PjrtDevice> DescribeDevice(const PJRT_Api& api, PJRT_Device* device) {
  PJRT_ARGS(PJRT_Device_GetDescription, of_device);
  of_device.device = device;
  RETURN_IF_ERROR(PJRT_CALL(api, PJRT_Device_GetDescription, of_device));
  PJRT_ARGS(PJRT_DeviceDescription_Id, id);
  id.device_description = of_device.device_description;
  RETURN_IF_ERROR(PJRT_CALL(api, PJRT_DeviceDescription_Id, id));
  PJRT_ARGS(PJRT_DeviceDescription_Kind, kind);
  kind.device_description = of_device.device_description;
  RETURN_IF_ERROR(PJRT_CALL(api, PJRT_DeviceDescription_Kind, kind));
  PJRT_ARGS(PJRT_DeviceDescription_ToString, text);
  text.device_description = of_device.device_description;
  RETURN_IF_ERROR(PJRT_CALL(api, PJRT_DeviceDescription_ToString, text));
  return PjrtDevice{.device = device,
                    .id = id.id,
                    .kind = std::string(kind.device_kind, kind.device_kind_size),
                    .description = std::string(text.to_string, text.to_string_size)};
}

}  // namespace

Result<std::unique_ptr<PjrtClient>> PjrtClient::Create(const PjrtPlugin& plugin,
                                                       const PjrtOptions& options) {
  const std::vector<PJRT_NamedValue> values = ToNamedValues(options);
  PJRT_ARGS(PJRT_Client_Create, args);
  args.create_options = values.data();
  args.num_options = values.size();
  RETURN_IF_ERROR(PJRT_CALL(plugin.api(), PJRT_Client_Create, args)
                      .WithContext("no devices could be opened with " + plugin.path()));
  std::unique_ptr<PjrtClient> client(new PjrtClient(plugin, args.client));
  RETURN_IF_ERROR(client->ReadPlatform());
  RETURN_IF_ERROR(client->ReadDevices());
  return client;
}

Status PjrtClient::ReadPlatform() {
  PJRT_ARGS(PJRT_Client_PlatformName, name);
  name.client = client_.get();
  RETURN_IF_ERROR(PJRT_CALL(api(), PJRT_Client_PlatformName, name));
  platform_.assign(name.platform_name, name.platform_name_size);
  PJRT_ARGS(PJRT_Client_PlatformVersion, version);
  version.client = client_.get();
  RETURN_IF_ERROR(PJRT_CALL(api(), PJRT_Client_PlatformVersion, version));
  platform_version_.assign(version.platform_version, version.platform_version_size);
  std::ranges::replace(platform_version_, '\n', ' ');
  return OkStatus();
}

Status PjrtClient::ReadDevices() {
  PJRT_ARGS(PJRT_Client_AddressableDevices, args);
  args.client = client_.get();
  RETURN_IF_ERROR(PJRT_CALL(api(), PJRT_Client_AddressableDevices, args));
  for (PJRT_Device* device : std::span(args.addressable_devices, args.num_addressable_devices)) {
    ASSIGN_OR_RETURN(PjrtDevice described, DescribeDevice(api(), device));
    devices_.push_back(std::move(described));
  }
  if (devices_.empty()) {
    return FailedPrecondition(plugin_.path() + " offers no device to this process");
  }
  std::ranges::sort(devices_, {}, &PjrtDevice::id);
  return OkStatus();
}

std::optional<DeviceMemory> PjrtClient::Memory(const PjrtDevice& device) const {
  PJRT_ARGS(PJRT_Device_MemoryStats, args);
  args.device = device.device;
  if (!PJRT_CALL(api(), PJRT_Device_MemoryStats, args).ok()) return std::nullopt;
  DeviceMemory memory;
  memory.bytes_in_use = args.bytes_in_use;
  if (args.bytes_limit_is_set) memory.bytes_limit = args.bytes_limit;
  return memory;
}

Result<PjrtExecutable> PjrtClient::Compile(std::string_view module,
                                           const CompileOptions& options) const {
  const std::string serialized = SerializeCompileOptions(options);
  PJRT_Program program = {};
  program.struct_size = PJRT_Program_STRUCT_SIZE;
  program.code = const_cast<char*>(module.data());  // the API's field is also an output elsewhere
  program.code_size = module.size();
  program.format = kFormat.data();
  program.format_size = kFormat.size();
  PJRT_ARGS(PJRT_Client_Compile, args);
  args.client = client_.get();
  args.program = &program;
  args.compile_options = serialized.data();
  args.compile_options_size = serialized.size();
  RETURN_IF_ERROR(PJRT_CALL(api(), PJRT_Client_Compile, args));
  return PjrtExecutable::Own({api(), args.executable});
}

Result<PjrtExecutable> PjrtClient::Deserialize(std::string_view bytes,
                                               const CompileOptions& options) const {
  const std::string serialized = SerializeCompileOptions(options);
  PJRT_ARGS(PJRT_Executable_DeserializeAndLoad, args);
  args.client = client_.get();
  args.serialized_executable = bytes.data();
  args.serialized_executable_size = bytes.size();
  args.overridden_serialized_compile_options = serialized.data();
  args.overridden_serialized_compile_options_size = serialized.size();
  RETURN_IF_ERROR(PJRT_CALL(api(), PJRT_Executable_DeserializeAndLoad, args));
  return PjrtExecutable::Own({api(), args.loaded_executable});
}

Result<Upload> PjrtClient::StartUpload(const ArrayView& array, const PjrtDevice& device) const {
  PJRT_ARGS(PJRT_Client_BufferFromHostBuffer, args);
  args.client = client_.get();
  args.data = array.data;
  args.type = BufferType(array.type.dtype);
  args.dims = array.type.shape.data();
  args.num_dims = array.type.shape.size();
  args.host_buffer_semantics = PJRT_HostBufferSemantics_kImmutableUntilTransferCompletes;
  args.device = device.device;
  RETURN_IF_ERROR(PJRT_CALL(api(), PJRT_Client_BufferFromHostBuffer, args));
  return Upload{.buffer = {api(), args.buffer}, .done = {api(), args.done_with_host_buffer}};
}

Result<PjrtBuffer> PjrtClient::UploadNow(const ArrayView& array, const PjrtDevice& device) const {
  ASSIGN_OR_RETURN(Upload upload, StartUpload(array, device));
  RETURN_IF_ERROR(AwaitPjrtEvent(std::move(upload.done), "copying to the device"));
  return std::move(upload.buffer);
}

Result<PjrtEvent> StartDownload(const PjrtBuffer& buffer, size_t rank, std::span<std::byte> out) {
  // Asked for row-major, since devices may keep arrays in another order.
  std::vector<int64_t> minor_to_major(rank);
  for (size_t i = 0; i < rank; ++i) minor_to_major[i] = static_cast<int64_t>(rank - 1 - i);
  PJRT_Buffer_MemoryLayout layout = {};
  layout.struct_size = PJRT_Buffer_MemoryLayout_STRUCT_SIZE;
  layout.type = PJRT_Buffer_MemoryLayout_Type_Tiled;
  layout.tiled.struct_size = PJRT_Buffer_MemoryLayout_Tiled_STRUCT_SIZE;
  layout.tiled.minor_to_major = minor_to_major.data();
  layout.tiled.minor_to_major_size = rank;
  PJRT_ARGS(PJRT_Buffer_ToHostBuffer, args);
  args.src = buffer.get();
  args.host_layout = &layout;
  args.dst = out.data();
  args.dst_size = out.size();
  RETURN_IF_ERROR(PJRT_CALL(buffer.api(), PJRT_Buffer_ToHostBuffer, args));
  return PjrtEvent(buffer.api(), args.event);
}

}  // namespace thresher
