#ifndef THRESHER_ENGINE_CPU_AMX_ATTENTION_H_
#define THRESHER_ENGINE_CPU_AMX_ATTENTION_H_

#include <cstddef>
#include <cstdint>

#include "engine/cpu/amx_product.h"

namespace thresher {

// Attention of kAmxBlock rows over one sequence's keys on the tile unit, with the softmax carried
// from one block of keys to the next (online softmax). Row r is a head of the query at position
// first_query + (first_row + r) / rows_per_query, and sees the keys up to there.
//
// What is stored are not exponentials relative to the largest score so far, as usual, but relative
// to an offset per row that is raised only when a block's exponentials grow too large for it: any
// offset gives the same result, and to find the largest score of each block would take a pass over
// all scores.
struct AmxAttention {
  const std::byte* queries = nullptr;  // bf16 [kAmxBlock, head_dim]
  const std::byte* keys = nullptr;     // panels of AmxPackColumns; the sequence begins here
  const std::byte* values = nullptr;   // panels of AmxPackRows
  int64_t value_panel_bytes = 0;       // from one panel of values to the next
  int64_t head_dim = 0;                // a multiple of kAmxBlock
  int64_t first_query = 0;
  int64_t first_row = 0;
  int64_t rows_per_query = 1;
  int64_t rows = kAmxBlock;  // whose results are wanted; the others must be there, but may be zero
  int64_t window = 0;        // a query sees its own key and window - 1 before it; 0: all before
  float scale = 1.0F;
  float* mixed = nullptr;  // out [kAmxBlock, head_dim]: sums of values, each times its exponential
  float* sums = nullptr;   // out [kAmxBlock]: sums of exponentials
};

// Needs AmxIsUsable(). Allocates nothing; thread-safe. A row with a NaN among its scores becomes
// NaN.
void AmxAttend(const AmxAttention& attention);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_AMX_ATTENTION_H_
