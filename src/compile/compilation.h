#ifndef THRESHER_COMPILE_COMPILATION_H_
#define THRESHER_COMPILE_COMPILATION_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "compile/target.h"
#include "engine/pjrt/graph_program.h"
#include "engine/pjrt/pjrt_executable.h"
#include "graph/graph.h"
#include "roofline/chip.h"

namespace thresher {

// The program that is compiled: the engine's own for batches of that size.
struct CompilationInputs {
  const Graph& graph;  // a model's, whole
  std::vector<HookPoint> hooks = {};
  GraphProgramOptions program = {};
  int64_t sequence_tokens = 0;  // of each sequence of a batch; the last one may be shorter
};

// What came of compiling a program for chips that are not here. Value type; figures are of one
// batch, and per chip where that is said.
struct Compilation {
  CompileTarget target = {};
  int64_t chip_count = 0;     // of the topology
  int64_t chips_a_batch = 0;  // that share one batch
  int64_t tokens = 0;
  int64_t result_rows = 0;  // of each hook point that cross to the host
  int64_t layer_loop_iterations = 0;
  double compile_seconds = 0;
  ChipWork work = {};          // of each chip, as the compiler counts it
  double on_chip_bytes = 0;    // not in work.memory_bytes: OnChipAttentionBytes
  double useful_flops = 0;     // of the whole batch: causal-exact, no padding, no head
  CompiledMemory memory = {};  // of each chip
  double results_bytes = 0;    // of the whole batch: what crosses to the host
  Roofline roofline = {};

  // Counted / useful.
  double flops_ratio() const;
  // With two batches in flight: weights and inputs, outputs twice, temporaries.
  double memory_bytes() const;
  // How many times longer computing takes than the slowest of the others, if on_chip_bytes crossed
  // the main memory too.
  double margin_with_on_chip_bytes() const;
  bool fits() const { return memory_bytes() <= target.chip.memory_bytes; }
  // Of one chip, at a part of the roofline's speed.
  double tokens_per_second(double efficiency) const;
  double host_bytes_per_second(double efficiency) const;
};

// Compiles with the plug-in at `plugin_path`, once. kFailedPrecondition if the weights alone do not
// fit a chip's memory, kResourceExhausted if the compiler says that the program does not,
// kInvalidArgument if the topology has too few chips; other errors carry the plug-in's message.
Result<Compilation> CompileFor(const CompileTarget& target, const std::string& plugin_path,
                               const CompilationInputs& inputs);

// Tells libtpu that this is no TPU machine, so that it does not ask for one. Before any thread
// starts, and before the plug-in is loaded.
void PrepareToCompileWithoutDevices();

}  // namespace thresher

#endif  // THRESHER_COMPILE_COMPILATION_H_
