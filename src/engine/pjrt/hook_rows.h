#ifndef THRESHER_ENGINE_PJRT_HOOK_ROWS_H_
#define THRESHER_ENGINE_PJRT_HOOK_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "engine/engine.h"
#include "engine/pjrt/graph_program.h"

namespace thresher {

// A program's results in host memory: parts[r][d] is what device d of the group gave for result r.
using ResultParts = std::vector<std::vector<const std::byte*>>;

// Writes the rows that the batch stores of every hook point to its output, converted to `stored`
// where the results are not in it. Uses a few threads.
void WriteHookRows(const GraphProgram& program, const ResultParts& parts, const PackedBatch& batch,
                   DType stored, std::span<const HookOutput> outputs);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_HOOK_ROWS_H_
