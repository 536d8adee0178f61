#ifndef THRESHER_ROOFLINE_BATCH_ESTIMATE_H_
#define THRESHER_ROOFLINE_BATCH_ESTIMATE_H_

#include <cstdint>
#include <optional>

#include "graph/graph.h"
#include "roofline/chip.h"

namespace thresher {

// A batch of a bf16 forward pass on accelerators, as far as a forecast knows it.
struct BatchEstimateInputs {
  const Graph& pruned;   // to the hook points that are stored
  double tokens = 0;     // of a batch
  double flops = 0;      // of a batch, useful ones
  double row_bytes = 0;  // of the rows that cross to the host, for each token of a batch
  int64_t chips = 1;     // that share each batch
};

// What each chip does for it, by reckoning, without a compiler: its part of the FLOPs; every weight
// of the linears read once, what each linear reads and writes (2 bytes a value), the residual
// stream read twice and written once for each addition (4 bytes), and the stored rows; between
// chips a ring all-reduce in f32 for each addition. Attention's scores are taken to stay on the
// chip.
ChipWork EstimateBatchWork(const BatchEstimateInputs& inputs);

// The fewest chips, 1, 2, 4 or 8, whose memory holds the weights of the linears in bf16 and the
// rows of two batches, with a tenth left for everything else; nothing if 8 do not.
std::optional<int64_t> ChipsForModel(const BatchEstimateInputs& inputs, const Chip& chip);

}  // namespace thresher

#endif  // THRESHER_ROOFLINE_BATCH_ESTIMATE_H_
