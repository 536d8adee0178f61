#include "engine/pjrt/pjrt_topology.h"

namespace thresher {

Result<PjrtTopology> PjrtTopology::Create(const PjrtPlugin& plugin, const std::string& name,
                                          const PjrtOptions& options) {
  const std::vector<PJRT_NamedValue> values = ToNamedValues(options);
  PJRT_ARGS(PJRT_TopologyDescription_Create, args);
  args.topology_name = name.data();
  args.topology_name_size = name.size();
  args.create_options = values.data();
  args.num_options = values.size();
  RETURN_IF_ERROR(PJRT_CALL(plugin.api(), PJRT_TopologyDescription_Create, args)
                      .WithContext("topology " + name));
  PjrtTopology topology({plugin.api(), args.topology});
  PJRT_ARGS(PJRT_TopologyDescription_GetDeviceDescriptions, devices);
  devices.topology = args.topology;
  RETURN_IF_ERROR(PJRT_CALL(plugin.api(), PJRT_TopologyDescription_GetDeviceDescriptions, devices));
  topology.device_count_ = static_cast<int64_t>(devices.num_descriptions);
  return topology;
}

Result<PjrtHandle<PJRT_Executable>> PjrtTopology::Compile(std::string_view module,
                                                          const CompileOptions& options) const {
  const PJRT_Api& api = topology_.api();
  const std::string serialized = SerializeCompileOptions(options);
  PJRT_Program program = {};
  program.struct_size = PJRT_Program_STRUCT_SIZE;
  program.code = const_cast<char*>(module.data());  // the API's field is also an output elsewhere
  program.code_size = module.size();
  constexpr std::string_view kFormat = "mlir";
  program.format = kFormat.data();
  program.format_size = kFormat.size();
  PJRT_ARGS(PJRT_Compile, args);
  args.topology = topology_.get();
  args.program = &program;
  args.compile_options = serialized.data();
  args.compile_options_size = serialized.size();
  RETURN_IF_ERROR(PJRT_CALL(api, PJRT_Compile, args));
  return PjrtHandle<PJRT_Executable>(api, args.executable);
}

}  // namespace thresher
