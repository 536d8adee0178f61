#ifndef THRESHER_ENGINE_PJRT_ATTENTION_WRITER_H_
#define THRESHER_ENGINE_PJRT_ATTENTION_WRITER_H_

#include <cstdint>

#include "engine/pjrt/stablehlo_writer.h"
#include "graph/graph.h"

namespace thresher {

struct AttentionInputs {
  HloValue q;       // [tokens, heads * head_dim] in the compute dtype
  HloValue k;       // [tokens, kv_heads * head_dim], the same
  HloValue v;       // the same
  HloValue starts;  // i32 [tokens]: the row where each token's sequence begins; never falling
};

// Both ways of writing causal attention inside each sequence (graph.h) never hold the matrix of all
// scores, and skip what lies above the diagonal and before a sliding window, by blocks of rows.
// Scores, softmax and the sum over keys are f32; the probabilities are multiplied in the compute
// dtype. The result is [tokens, heads * head_dim], f32.

// Blocks of `block` queries, written one after the other, each against all keys up to its own last
// one at once. Keys of other sequences are masked. The largest block has block * tokens scores a
// head; the module grows with tokens / block.
HloValue WriteAttention(StablehloWriter& writer, const Attention& attention,
                        const AttentionInputs& inputs, int64_t block);

// A loop over blocks of queries, and in it one over blocks of keys, from the first that any of
// these queries sees, which `starts` tells when the program runs, to the diagonal: online softmax
// (Milakov and Gimelshein 2018) with a running largest score, sum of weights and weighted sum of
// values. There are never more than block * block scores a head; the module is as large for any
// number of tokens. Blocks are of OnlineAttentionBlock rows, at most `block`.
HloValue WriteOnlineAttention(StablehloWriter& writer, const Attention& attention,
                              const AttentionInputs& inputs, int64_t block);

// The largest number of rows that divides `block` and the tokens and makes no more scores of all
// heads than a v5e keeps on the chip beside what else is there: 16 MiB in f32. At least 128
// where these divide by it.
int64_t OnlineAttentionBlock(int64_t tokens, int64_t block, int64_t heads);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_ATTENTION_WRITER_H_
