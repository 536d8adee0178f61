#include "engine/pjrt/pjrt_executable.h"

#include <utility>

namespace thresher {

Result<CompiledMemory> CompiledMemoryOf(const PjrtHandle<PJRT_Executable>& executable) {
  PJRT_ARGS(PJRT_Executable_GetCompiledMemoryStats, args);
  args.executable = executable.get();
  RETURN_IF_ERROR(PJRT_CALL(executable.api(), PJRT_Executable_GetCompiledMemoryStats, args));
  return CompiledMemory{.arguments_bytes = args.argument_size_in_bytes,
                        .outputs_bytes = args.output_size_in_bytes,
                        .temporaries_bytes = args.temp_size_in_bytes,
                        .code_bytes = args.generated_code_size_in_bytes};
}

Result<std::map<std::string, double>> CostAnalysisOf(
    const PjrtHandle<PJRT_Executable>& executable) {
  PJRT_ARGS(PJRT_Executable_GetCostAnalysis, args);
  args.executable = executable.get();
  RETURN_IF_ERROR(PJRT_CALL(executable.api(), PJRT_Executable_GetCostAnalysis, args));
  std::map<std::string, double> costs;
  for (const PJRT_NamedValue& value : std::span(args.properties, args.num_properties)) {
    const std::string name(value.name, value.name_size);
    if (value.type == PJRT_NamedValue_kFloat) {
      costs.emplace(name, static_cast<double>(value.float_value));
    } else if (value.type == PJRT_NamedValue_kInt64) {
      costs.emplace(name, static_cast<double>(value.int64_value));
    }
  }
  return costs;
}

Result<PjrtHandle<PJRT_Executable>> PjrtExecutable::Unloaded() const {
  PJRT_ARGS(PJRT_LoadedExecutable_GetExecutable, args);
  args.loaded_executable = loaded_.get();
  RETURN_IF_ERROR(PJRT_CALL(loaded_.api(), PJRT_LoadedExecutable_GetExecutable, args));
  return PjrtHandle<PJRT_Executable>(loaded_.api(), args.executable);
}

Result<PjrtExecutable> PjrtExecutable::Own(PjrtHandle<PJRT_LoadedExecutable> loaded) {
  PjrtExecutable executable(std::move(loaded));
  ASSIGN_OR_RETURN(const PjrtHandle<PJRT_Executable> unloaded, executable.Unloaded());
  PJRT_ARGS(PJRT_Executable_NumOutputs, args);
  args.executable = unloaded.get();
  RETURN_IF_ERROR(PJRT_CALL(unloaded.api(), PJRT_Executable_NumOutputs, args));
  executable.output_count_ = args.num_outputs;
  return executable;
}

Result<PjrtExecutable::Execution> PjrtExecutable::Execute(
    std::span<const std::vector<PJRT_Buffer*>> arguments, PJRT_Device* device) const {
  const PJRT_Api& api = loaded_.api();
  const size_t devices = arguments.size();
  std::vector<PJRT_Buffer* const*> argument_lists;
  std::vector<std::vector<PJRT_Buffer*>> outputs(devices,
                                                 std::vector<PJRT_Buffer*>(output_count_, nullptr));
  std::vector<PJRT_Buffer**> output_lists;
  std::vector<PJRT_Event*> events(devices, nullptr);
  for (size_t d = 0; d < devices; ++d) {
    argument_lists.push_back(arguments[d].data());
    output_lists.push_back(outputs[d].data());
  }
  PJRT_ExecuteOptions options = {};
  options.struct_size = PJRT_ExecuteOptions_STRUCT_SIZE;
  // All arguments stay: weights are used again and again.
  std::vector<int64_t> kept(arguments.front().size());
  for (size_t i = 0; i < kept.size(); ++i) kept[i] = static_cast<int64_t>(i);
  options.non_donatable_input_indices = kept.data();
  options.num_non_donatable_input_indices = kept.size();
  PJRT_ARGS(PJRT_LoadedExecutable_Execute, args);
  args.executable = loaded_.get();
  args.options = &options;
  args.argument_lists = argument_lists.data();
  args.num_devices = devices;
  args.num_args = arguments.front().size();
  args.output_lists = output_lists.data();
  args.device_complete_events = events.data();
  args.execute_device = device;
  RETURN_IF_ERROR(PJRT_CALL(api, PJRT_LoadedExecutable_Execute, args));
  Execution execution;
  for (size_t d = 0; d < devices; ++d) {
    execution.outputs.emplace_back();
    for (PJRT_Buffer* buffer : outputs[d]) execution.outputs.back().emplace_back(api, buffer);
    execution.done.emplace_back(api, events[d]);
  }
  return execution;
}

Result<std::string> PjrtExecutable::Serialize() const {
  ASSIGN_OR_RETURN(const PjrtHandle<PJRT_Executable> executable, Unloaded());
  PJRT_ARGS(PJRT_Executable_Serialize, args);
  args.executable = executable.get();
  RETURN_IF_ERROR(PJRT_CALL(loaded_.api(), PJRT_Executable_Serialize, args));
  std::string bytes(args.serialized_bytes, args.serialized_bytes_size);
  args.serialized_executable_deleter(args.serialized_executable);
  return bytes;
}

}  // namespace thresher
