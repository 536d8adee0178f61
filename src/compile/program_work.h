#ifndef THRESHER_COMPILE_PROGRAM_WORK_H_
#define THRESHER_COMPILE_PROGRAM_WORK_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "engine/pjrt/graph_program.h"
#include "graph/graph.h"
#include "roofline/chip.h"

namespace thresher {

// What one chip does for one batch of a compiled program. `costs`: the compiler's own count of
// "flops" and "bytes accessed" for one chip, in which the body of the layer loop counts once, as if
// it ran once (CostAnalysisOf). What is outside of the loop is known from the graph: products, the
// embedded rows, and the results, which are filled with zeros before the loop. The rest is the
// body, and counts GraphProgram::loop_iterations times. Online attention (attention_writer.h) is a
// loop in that body, of which the compiler counts one pair of blocks; of the others their products
// and the rows of q, k and v that they read are added, but no bytes of scores and running sums: see
// OnChipAttentionBytes. `pruned` and `options` are those that the program was written with;
// `sequence_tokens`: of each sequence of a batch, for the blocks that are skipped.
//
// Bytes between chips are not in the compiler's count: they are those of a ring all-reduce of every
// linear whose input channels are split, 2 (n - 1) / n of the f32 result.
//
// kInternal if the count holds no such figures, or less than what is known to be outside.
Result<ChipWork> WorkOfBatch(const Graph& pruned, const GraphProgram& program,
                             const GraphProgramOptions& options, int64_t sequence_tokens,
                             const std::map<std::string, double>& costs);

// Bytes of online attention's f32 scores (written once, read twice) and running sums (read and
// written) of one chip and batch, but for those of one pair of blocks, which are in WorkOfBatch.
// These blocks are made for the chip's own fast memory. Where libtpu keeps them there, as seen on
// v5e and on v5p in part (docs/accelerators-plugins.md has how), they are no traffic of the main
// memory. 0 where attention is not online.
double OnChipAttentionBytes(const Graph& pruned, const GraphProgramOptions& options,
                            int64_t sequence_tokens);

}  // namespace thresher

#endif  // THRESHER_COMPILE_PROGRAM_WORK_H_
