#include "compile/compilation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>
#include <variant>

#include "base/byte_size.h"
#include "compile/program_work.h"
#include "engine/pjrt/pjrt_plugin.h"
#include "engine/pjrt/pjrt_topology.h"
#include "forecast/trial.h"

namespace thresher {
namespace {

// The FLOPs that the batch is worth: sequences of inputs.sequence_tokens, none of it padding.
double UsefulFlops(const Graph& pruned, const CompilationInputs& inputs) {
  std::vector<int64_t> offsets = {0};
  while (offsets.back() < inputs.program.tokens) {
    offsets.push_back(std::min(offsets.back() + inputs.sequence_tokens, inputs.program.tokens));
  }
  return BatchFlops(pruned, offsets);
}

double BytesOf(const TensorType& type) {
  auto bytes = static_cast<double>(DTypeBytes(type.dtype));
  for (const int64_t extent : type.shape) bytes *= static_cast<double>(extent);
  return bytes;
}

double BytesOfResults(const GraphProgram& program) {
  double bytes = 0;
  for (const TensorType& type : program.results) bytes += BytesOf(type);
  return bytes;
}

// No compilation is needed to see that the weights do not fit.
Status CheckWeightsFit(const GraphProgram& program, int64_t chips, const Chip& chip) {
  double bytes = 0;
  for (const ProgramArgument& argument : program.arguments) {
    if (!std::holds_alternative<WeightArgument>(argument.meaning)) continue;
    const bool is_split = std::ranges::find(argument.sharding, true) != argument.sharding.end();
    bytes += BytesOf(argument.type) / static_cast<double>(is_split ? chips : 1);
  }
  if (bytes <= chip.memory_bytes) return OkStatus();
  return FailedPrecondition(fmt::format(
      "the weights are {} a chip, and {} has {}; let more chips share a batch with --chips",
      FormatBytes(bytes), chip.description, FormatBytes(chip.memory_bytes)));
}

}  // namespace

double Compilation::flops_ratio() const {
  return work.flops * static_cast<double>(chips_a_batch) / useful_flops;
}

double Compilation::margin_with_on_chip_bytes() const {
  ChipWork all = work;
  all.memory_bytes += on_chip_bytes;
  return RooflineOf(target.chip, all).compute_margin();
}

double Compilation::memory_bytes() const {
  return static_cast<double>(memory.arguments_bytes + 2 * memory.outputs_bytes +
                             memory.temporaries_bytes + memory.code_bytes);
}

double Compilation::tokens_per_second(double efficiency) const {
  return efficiency * static_cast<double>(tokens) /
         (roofline.seconds() * static_cast<double>(chips_a_batch));
}

double Compilation::host_bytes_per_second(double efficiency) const {
  return tokens_per_second(efficiency) * results_bytes / static_cast<double>(tokens);
}

Result<Compilation> CompileFor(const CompileTarget& target, const std::string& plugin_path,
                               const CompilationInputs& inputs) {
  ASSIGN_OR_RETURN(const Graph pruned, inputs.graph.PrunedTo(inputs.hooks));
  ASSIGN_OR_RETURN(const GraphProgram program,
                   WriteGraphProgram(inputs.graph, inputs.hooks, inputs.program));
  RETURN_IF_ERROR(CheckWeightsFit(program, inputs.program.devices, target.chip));
  ASSIGN_OR_RETURN(const PjrtPlugin* plugin, PjrtPlugin::Load(plugin_path));
  ASSIGN_OR_RETURN(const PjrtTopology topology, PjrtTopology::Create(*plugin, target.topology));
  if (inputs.program.devices > topology.device_count()) {
    return InvalidArgument(fmt::format("--chips: {} has {} chips, fewer than {}", target.topology,
                                       topology.device_count(), inputs.program.devices));
  }
  Compilation compilation{.target = target};
  compilation.chip_count = topology.device_count();
  compilation.chips_a_batch = inputs.program.devices;
  compilation.tokens = inputs.program.tokens;
  compilation.result_rows = inputs.program.result_rows();
  compilation.layer_loop_iterations = program.loop_iterations;

  const auto begin = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(
      const PjrtHandle<PJRT_Executable> executable,
      topology.Compile(program.module, {.partitions = inputs.program.devices, .device_ids = {}}));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  compilation.compile_seconds = elapsed.count();

  ASSIGN_OR_RETURN(const auto costs, CostAnalysisOf(executable));
  ASSIGN_OR_RETURN(compilation.work,
                   WorkOfBatch(pruned, program, inputs.program, inputs.sequence_tokens, costs));
  ASSIGN_OR_RETURN(compilation.memory, CompiledMemoryOf(executable));
  compilation.on_chip_bytes = OnChipAttentionBytes(pruned, inputs.program, inputs.sequence_tokens);
  compilation.useful_flops = UsefulFlops(pruned, inputs);
  compilation.results_bytes = BytesOfResults(program);
  compilation.roofline = RooflineOf(target.chip, compilation.work);
  return compilation;
}

void PrepareToCompileWithoutDevices() {
  // Otherwise libtpu asks the cloud's metadata server, for minutes where there is none; refuses to
  // be loaded while another process has it; and tells the user to set the others, which only matter
  // where TPUs are.
  for (const auto& [name, value] : {std::pair{"TPU_SKIP_MDS_QUERY", "1"},
                                    {"ALLOW_MULTIPLE_LIBTPU_LOAD", "1"},
                                    {"TPU_WORKER_HOSTNAMES", "localhost"},
                                    {"TPU_ACCELERATOR_TYPE", "v5litepod-4"},
                                    {"TPU_LOG_DIR", "disabled"}}) {
    setenv(name, value, /*overwrite=*/0);
  }
}

}  // namespace thresher
