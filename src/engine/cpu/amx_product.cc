#include "engine/cpu/amx_product.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "engine/cpu/amx_tiles-inl.h"
#include "engine/cpu/avx512_math-inl.h"
#include "engine/cpu/processor.h"

namespace thresher {
namespace {

using namespace amx;  // NOLINT(google-build-using-namespace)

// With fewer rows there is too little work in a panel to hide the fetching of the next one.
constexpr int64_t kFewestRowsToPrefetch = 64;
// With fewer steps the output's lines are wanted before they could have come.
constexpr int64_t kFewestStepsToPrefetch = 8;

THRESHER_AMX_INLINE void MultiplyBlock(const Extent& extent, const BlockOperands& block) {
  const bool two_rows = extent.rows > kTileRows;
  const bool two_columns = extent.columns > kTileColumns;
  if (two_rows && two_columns) return MultiplyBlock<true, true>(block);
  if (two_rows) return MultiplyBlock<true, false>(block);
  if (two_columns) return MultiplyBlock<false, true>(block);
  MultiplyBlock<false, false>(block);
}

// Of a panel; without inputs: zeros.
void PackColumn(const std::byte* inputs, int64_t inner, int64_t column, std::byte* panel) {
  constexpr int64_t kPairBytes = 2 * kElementBytes;
  std::byte* to = panel + column / kTileColumns * kTileBytes + column % kTileColumns * kPairBytes;
  // Pair i of inputs stands in row i % 16 of the tile of step i / 16.
  for (int64_t i = 0; i < RoundUp(inner, kAmxBlock) / 2; ++i) {
    std::array<std::byte, kPairBytes> pair = {};
    const int64_t count = inputs == nullptr ? 0 : std::clamp<int64_t>(inner - 2 * i, 0, 2);
    if (count == 2) std::memcpy(pair.data(), inputs + i * kPairBytes, kPairBytes);
    if (count == 1) std::memcpy(pair.data(), inputs + i * kPairBytes, kElementBytes);
    std::memcpy(to + i / kTileRows * kStepBytes + i % kTileRows * kTileRowBytes, pair.data(),
                kPairBytes);
  }
}

// What the kernel leaves in the first-level cache on its way to `out`: sums that are not stored as
// they are.
using RawBlock = std::array<float, kAmxBlock * kAmxBlock>;

THRESHER_AMX void GateBlock(const RawBlock& block, int64_t rows, int64_t out_stride,
                            std::byte* out) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* gates = block.data() + r * kAmxBlock;
    const __m512 product =
        _mm512_mul_ps(Silu(_mm512_load_ps(gates)), _mm512_load_ps(gates + kTileColumns));
    const __m256bh rounded = _mm512_cvtneps_pbh(product);
    std::memcpy(out + r * out_stride, &rounded, sizeof(rounded));
  }
}

void RoundBlock(const RawBlock& block, const Extent& extent, int64_t columns, std::byte* out) {
  ConvertRows(
      {.rows = extent.rows, .width = extent.columns},
      {.data = reinterpret_cast<std::byte*>(const_cast<float*>(block.data())), .stride = kAmxBlock},
      {.data = out, .dtype = DType::kBf16, .stride = columns});
}

}  // namespace

bool AmxIsUsable() {
  // ARCH_REQ_XCOMP_PERM and XFEATURE_XTILEDATA (Linux, Documentation/arch/x86/xstate.rst).
  static const bool kIsUsable = OneDnnHasAmx() && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
  return kIsUsable;
}

void AmxPackColumns(const Rows& in, int64_t inner, int64_t columns, int64_t panel_bytes,
                    std::byte* packed) {
  for (int64_t c = 0; c < RoundUp(columns, kAmxBlock); ++c) {
    PackColumn(c < columns ? in.row(c) : nullptr, inner, c % kAmxBlock,
               packed + c / kAmxBlock * panel_bytes);
  }
}

void AmxPackGated(const Rows& in, int64_t inner, int64_t columns, std::byte* packed) {
  THRESHER_CHECK(columns % kTileColumns == 0);
  for (int64_t c = 0; c < 2 * columns; ++c) {
    const int64_t position = AmxGatedPosition(c, columns);
    PackColumn(in.row(c), inner, position % kAmxBlock,
               packed + position / kAmxBlock * AmxPanelBytes(inner));
  }
}

void AmxPackRows(const Rows& in, int64_t inner, int64_t columns, int64_t panel_bytes,
                 std::byte* packed) {
  const int64_t padded_inner = RoundUp(inner, kAmxBlock);
  const int64_t padded_columns = RoundUp(columns, kAmxBlock);
  // Two rows at a time: the columns of a tile's row.
  using TileColumns = std::array<uint16_t, kTileColumns>;
  const auto read = [&](int64_t i, int64_t column) {
    TileColumns values = {};
    const int64_t count = std::clamp<int64_t>(columns - column, 0, kTileColumns);
    if (i < inner && count == kTileColumns) {
      std::memcpy(values.data(), in.row(i) + column * kElementBytes, sizeof(values));
    } else if (i < inner && count > 0) {
      std::memcpy(values.data(), in.row(i) + column * kElementBytes,
                  static_cast<size_t>(count * kElementBytes));
    }
    return values;
  };
  for (int64_t i = 0; i < padded_inner; i += 2) {
    std::byte* to = packed + i / kAmxBlock * kStepBytes + i % kAmxBlock / 2 * kTileRowBytes;
    for (int64_t column = 0; column < padded_columns; column += kTileColumns) {
      const TileColumns first = read(i, column);
      const TileColumns second = read(i + 1, column);
      std::array<uint32_t, kTileColumns> pairs;
      for (size_t c = 0; c < pairs.size(); ++c) pairs[c] = first[c] | uint32_t{second[c]} << 16;
      std::memcpy(
          to + column / kAmxBlock * panel_bytes + column % kAmxBlock / kTileColumns * kTileBytes,
          pairs.data(), sizeof(pairs));
    }
  }
}

THRESHER_AMX void AmxMultiply(const AmxProduct& product) {
  THRESHER_CHECK(product.inner % kAmxBlock == 0);
  const bool is_raw = product.is_gated || product.out_dtype == DType::kBf16;
  THRESHER_CHECK(!product.accumulates || (!is_raw && product.bias == nullptr));
  THRESHER_CHECK(!product.is_gated || product.columns % kAmxBlock == 0);
  alignas(kTileRowBytes) RawBlock raw;
  const int64_t out_columns = product.is_gated ? product.columns / 2 : product.columns;
  const int64_t out_bytes = is_raw ? kElementBytes : kFloatBytes;
  const int64_t out_stride = out_columns * out_bytes;
  const int64_t row_blocks = RoundUp(product.rows, kAmxBlock) / kAmxBlock;
  BlockOperands block;
  block.left_stride = product.inner * kElementBytes;
  block.steps = product.inner / kAmxBlock;
  if (product.rows >= kFewestRowsToPrefetch) {
    block.next_lines = RoundUp(kStepBytes / kTileRowBytes, row_blocks) / row_blocks;
  }
  if (!is_raw && block.steps >= kFewestStepsToPrefetch) block.output_rows = kAmxBlock;
  Extent configured;
  for (int64_t column = 0; column < product.columns; column += kAmxBlock) {
    block.right = product.right + column / kAmxBlock * product.panel_bytes;
    block.next_panel = block.right + product.panel_bytes;
    const int64_t out_column = product.is_gated ? column / 2 : column;
    for (int64_t row = 0; row < product.rows; row += kAmxBlock) {
      const Extent extent = {.rows = std::min(kAmxBlock, product.rows - row),
                             .columns = std::min(kAmxBlock, product.columns - column)};
      if (extent != configured) Configure(extent);
      configured = extent;
      std::byte* out = product.out + row * out_stride + out_column * out_bytes;
      block.left = product.left + row * block.left_stride;
      block.out = {.data = out, .stride = out_stride};
      if (is_raw) {
        block.out = {.data = reinterpret_cast<std::byte*>(raw.data()),
                     .stride = kAmxBlock * kFloatBytes};
      }
      block.begin = {};
      if (product.accumulates) block.begin = block.out;
      if (product.bias != nullptr) {
        // Every row of the block begins with the same numbers.
        block.begin = {
            .data = reinterpret_cast<std::byte*>(const_cast<float*>(product.bias + column)),
            .stride = 0};
      }
      MultiplyBlock(extent, block);
      if (product.is_gated) {
        GateBlock(raw, extent.rows, out_stride, out);
      } else if (is_raw) {
        RoundBlock(raw, extent, product.columns, out);
      }
      block.next_panel += block.steps * block.next_lines * kTileRowBytes;
    }
  }
  ReleaseTiles();
}

}  // namespace thresher
