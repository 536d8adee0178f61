#ifndef THRESHER_ENGINE_CPU_AMX_PRODUCT_H_
#define THRESHER_ENGINE_CPU_AMX_PRODUCT_H_

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "base/round_up.h"
#include "engine/cpu/kernels.h"

namespace thresher {

// Matrix products of bf16 with f32 sums on the tile unit of x86 processors (Intel AMX; Software
// Developer's Manual, volume 1, chapter 18). For the products of the forward pass they are 1.3 to
// 1.7 times as fast as oneDNN's (docs/performance.md).
//
// The right operand [inner, columns] is packed in panels of kAmxBlock columns. A panel holds, for
// each kAmxBlock inputs, two tiles of 16 columns; a tile is 16 rows of 64 bytes, row i of which
// has, for each column, the inputs 2 i and 2 i + 1. What is missing to whole panels and whole steps
// is zero. Nothing here allocates or throws; everything is thread-safe.

inline constexpr int64_t kAmxBlock = 32;

// Bytes of a panel, without regard to what lies between panels.
inline int64_t AmxPanelBytes(int64_t inner) {
  return RoundUp(inner, kAmxBlock) * kAmxBlock * DTypeBytes(DType::kBf16);
}

// Bytes of panels that follow each other without gaps.
inline int64_t AmxPackedBytes(int64_t inner, int64_t columns) {
  return RoundUp(columns, kAmxBlock) / kAmxBlock * AmxPanelBytes(inner);
}

// Whether this process may use the tile unit. Asks the kernel for it, once.
bool AmxIsUsable();

// Whether it may compute products of `inner` inputs in this dtype.
inline bool AmxCanMultiply(DType dtype, int64_t inner) {
  return dtype == DType::kBf16 && inner % kAmxBlock == 0 && AmxIsUsable();
}

// Packs bf16 rows into panels that begin `panel_bytes` apart, a multiple of 64, from `packed` on.
// Columns: each row of `in` is a column, [columns, inner]. Rows: in is [inner, columns].
void AmxPackColumns(const Rows& in, int64_t inner, int64_t columns, int64_t panel_bytes,
                    std::byte* packed);
void AmxPackRows(const Rows& in, int64_t inner, int64_t columns, int64_t panel_bytes,
                 std::byte* packed);

// Where a gated product's right operand has a column of [gates, ups], `columns` of each: tiles of
// gates and of ups take turns, so that a panel has kAmxBlock / 2 gates and the ups that belong to
// them.
inline int64_t AmxGatedPosition(int64_t column, int64_t columns) {
  constexpr int64_t kHalf = kAmxBlock / 2;
  const int64_t tile = column % columns / kHalf;
  return tile * kAmxBlock + (column < columns ? 0 : kHalf) + column % kHalf;
}

// As AmxPackColumns, [2 * columns, inner], but in the order of a gated product. `columns` is a
// multiple of kAmxBlock / 2. No gaps.
void AmxPackGated(const Rows& in, int64_t inner, int64_t columns, std::byte* packed);

// out = left * right (+ bias, or + out). Dense and row-major but for `right`.
struct AmxProduct {
  int64_t rows = 0;
  int64_t inner = 0;  // a multiple of kAmxBlock
  int64_t columns = 0;
  const std::byte* left = nullptr;   // bf16 [rows, inner]
  const std::byte* right = nullptr;  // panels
  int64_t panel_bytes = 0;           // from one panel to the next
  const float* bias = nullptr;       // [columns]; not if it accumulates
  bool accumulates = false;          // adds to what is in `out`, which is f32
  // The right operand and the bias are gates and ups (AmxGatedPosition): out, bf16
  // [rows, columns / 2], is silu(gate) * up; what is below 2^-126 becomes 0.
  bool is_gated = false;
  DType out_dtype = DType::kF32;  // kF32 or kBf16
  std::byte* out = nullptr;       // [rows, columns]
};

// An element's sum is taken in order of `inner`, whatever the number of rows. Needs AmxIsUsable().
void AmxMultiply(const AmxProduct& product);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_AMX_PRODUCT_H_
