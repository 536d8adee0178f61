#ifndef THRESHER_ENGINE_PJRT_BATCH_INPUTS_H_
#define THRESHER_ENGINE_PJRT_BATCH_INPUTS_H_

#include <vector>

#include "engine/common/rope_table.h"
#include "engine/engine.h"
#include "engine/pjrt/graph_program.h"
#include "engine/pjrt/host_array.h"
#include "model/weights.h"

namespace thresher {

// Fills in the batch arguments of a program, in their order, for a batch of at most its tokens and,
// where it picks rows, that stores at least one and at most so many.
// What is left is padding: a segment of its own, at position 0, of zeros. `ropes` [program.ropes]
// grow to the longest sequence.
std::vector<HostArray> MakeBatchInputs(const GraphProgram& program, const PackedBatch& batch,
                                       const WeightView& embedding, std::vector<RopeTable>& ropes);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_BATCH_INPUTS_H_
