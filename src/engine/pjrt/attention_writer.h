#ifndef THRESHER_ENGINE_PJRT_ATTENTION_WRITER_H_
#define THRESHER_ENGINE_PJRT_ATTENTION_WRITER_H_

#include <cstdint>

#include "engine/pjrt/stablehlo_writer.h"
#include "graph/graph.h"

namespace thresher {

struct AttentionInputs {
  HloValue q;         // [tokens, heads * head_dim] in the compute dtype
  HloValue k;         // [tokens, kv_heads * head_dim], the same
  HloValue v;         // the same
  HloValue segments;  // i32 [tokens]: equal for the tokens of one sequence
};

// Writes causal attention inside each segment (graph.h) in blocks of `block` queries, each against
// the keys up to its own last one (from the window's first one on): no matrix of all scores is ever
// there, and what lies above the diagonal is not computed. Scores, softmax and the sum over keys
// are f32; the probabilities are multiplied in the compute dtype. The result [tokens, heads *
// head_dim] is f32.
HloValue WriteAttention(StablehloWriter& writer, const Attention& attention,
                        const AttentionInputs& inputs, int64_t block);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_ATTENTION_WRITER_H_
