#ifndef THRESHER_COMPILE_TARGET_H_
#define THRESHER_COMPILE_TARGET_H_

#include <string>
#include <string_view>

#include "base/result.h"
#include "roofline/chip.h"

namespace thresher {

// Devices to compile for that need not be here: "tpu:v5e:2x2".
struct CompileTarget {
  std::string plugin = {};    // "tpu"
  std::string topology = {};  // "v5e:2x2", as the plug-in knows it
  Chip chip = {};
};

// kInvalidArgument, with what is possible, if it is none: only TPUs can be compiled for from afar.
Result<CompileTarget> ParseCompileTarget(std::string_view text);

}  // namespace thresher

#endif  // THRESHER_COMPILE_TARGET_H_
