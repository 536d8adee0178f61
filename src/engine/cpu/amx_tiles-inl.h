// Blocks of two by two tiles: what the kernels on the tile unit (AMX) are made of. For sources that
// are for x86 processors alone; callers have AmxIsUsable().

#ifndef THRESHER_ENGINE_CPU_AMX_TILES_INL_H_
#define THRESHER_ENGINE_CPU_AMX_TILES_INL_H_

// False alarms of GCC 12 on the undefined operands of its own intrinsics (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/cpu/amx_product.h"

// Without AddressSanitizer's own stack: GCC 12 takes its variables for aligned to a vector, and
// they are not (GCC bug 110027). Instructions on tiles are not checked by it anyway.
#define THRESHER_AMX                                                                        \
  __attribute__((                                                                           \
      target("amx-tile,amx-bf16,prfchw,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"), \
      no_sanitize("address")))
#define THRESHER_AMX_INLINE THRESHER_AMX inline __attribute__((always_inline))

namespace thresher::amx {

inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kTileRowBytes = 64;
inline constexpr int64_t kTileBytes = kTileRows * kTileRowBytes;
inline constexpr int64_t kTileColumns = 16;  // f32 in a row of a tile
inline constexpr int64_t kStepBytes = 2 * kTileBytes;
inline constexpr int64_t kElementBytes = 2;
inline constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

// The operand of LDTILECFG, palette 1.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  std::array<uint8_t, 14> reserved = {};
  std::array<uint16_t, 16> row_bytes = {};
  std::array<uint8_t, 16> rows = {};
};
static_assert(sizeof(TileConfig) == 64);

// A block of the output: two by two tiles or fewer, as many as it has rows and columns for.
struct Extent {
  int64_t rows = 0;     // 1 to 32
  int64_t columns = 0;  // 1 to 32
  bool operator==(const Extent&) const = default;
};

// Tiles 0 to 3: the output, row by row. 4 and 5: the left operand's rows. 6 and 7: the right one's
// columns.
THRESHER_AMX inline void Configure(const Extent& extent) {
  TileConfig config;
  const auto set = [&](size_t tile, int64_t rows, int64_t row_bytes) {
    const bool is_used = rows > 0 && row_bytes > 0;
    config.rows[tile] = static_cast<uint8_t>(is_used ? rows : 0);
    config.row_bytes[tile] = static_cast<uint16_t>(is_used ? row_bytes : 0);
  };
  for (size_t i = 0; i < 2; ++i) {
    const auto before = static_cast<int64_t>(i) * kTileRows;
    const int64_t rows = std::min(extent.rows - before, kTileRows);
    set(4 + i, rows, kTileRowBytes);
    set(6 + i, kTileRows, std::min(extent.columns - before, kTileColumns) * kFloatBytes);
    for (size_t j = 0; j < 2; ++j) {
      const auto columns = extent.columns - static_cast<int64_t>(j) * kTileColumns;
      set(2 * i + j, rows, std::min(columns, kTileColumns) * kFloatBytes);
    }
  }
  // GCC 12 believes that the instruction reads eight bytes only, and drops the rest.
  __asm__ volatile("" : : "r"(&config) : "memory");
  _tile_loadconfig(&config);
}

// What a block starts from, and where it goes: f32 rows `stride` bytes apart.
struct FloatBlock {
  std::byte* data = nullptr;
  int64_t stride = 0;
};

struct BlockOperands {
  const std::byte* left = nullptr;
  int64_t left_stride = 0;            // from row to row
  int64_t left_step = kTileRowBytes;  // from tile to tile
  const std::byte* right = nullptr;   // one panel
  int64_t steps = 0;
  FloatBlock begin;  // without data: zero
  FloatBlock out;
  const std::byte* next_panel = nullptr;
  int64_t next_lines = 0;   // of the next panel to fetch in each step
  int64_t output_rows = 0;  // to fetch, in the first steps
};

THRESHER_AMX inline void PrefetchRow(const std::byte* row) {
  __builtin_prefetch(row, 1);
  __builtin_prefetch(row + kTileRowBytes, 1);
}

template <bool kTwoRows, bool kTwoColumns>
THRESHER_AMX_INLINE void MultiplyBlock(const BlockOperands& block) {
  const int64_t lower = kTileRows * block.begin.stride;
  if (block.begin.data == nullptr) {
    _tile_zero(0);
    if constexpr (kTwoColumns) _tile_zero(1);
    if constexpr (kTwoRows) _tile_zero(2);
    if constexpr (kTwoRows && kTwoColumns) _tile_zero(3);
  } else {
    const std::byte* from = block.begin.data;
    _tile_loadd(0, from, block.begin.stride);
    if constexpr (kTwoColumns) _tile_loadd(1, from + kTileRowBytes, block.begin.stride);
    if constexpr (kTwoRows) _tile_loadd(2, from + lower, block.begin.stride);
    if constexpr (kTwoRows && kTwoColumns) {
      _tile_loadd(3, from + lower + kTileRowBytes, block.begin.stride);
    }
  }
  const std::byte* left = block.left;
  const std::byte* right = block.right;
  const std::byte* next = block.next_panel;
  const std::byte* out = block.out.data;
  const std::byte* const out_end = out + block.output_rows * block.out.stride;
  const int64_t below = kTileRows * block.left_stride;
  for (int64_t step = 0; step < block.steps; ++step) {
    for (int64_t line = 0; line < block.next_lines; ++line, next += kTileRowBytes) {
      _mm_prefetch(next, _MM_HINT_T1);
    }
    // Two rows a step: the lines are there when the tiles are stored.
    if (out < out_end) {
      PrefetchRow(out);
      PrefetchRow(out + block.out.stride);
      out += 2 * block.out.stride;
    }
    _tile_loadd(4, left, block.left_stride);
    _tile_loadd(6, right, kTileRowBytes);
    if constexpr (kTwoColumns) _tile_loadd(7, right + kTileBytes, kTileRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kTwoRows) _tile_loadd(5, left + below, block.left_stride);
    if constexpr (kTwoColumns) _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTwoRows) _tile_dpbf16ps(2, 5, 6);
    if constexpr (kTwoRows && kTwoColumns) _tile_dpbf16ps(3, 5, 7);
    left += block.left_step;
    right += kStepBytes;
  }
  std::byte* to = block.out.data;
  const int64_t to_below = kTileRows * block.out.stride;
  _tile_stored(0, to, block.out.stride);
  if constexpr (kTwoColumns) _tile_stored(1, to + kTileRowBytes, block.out.stride);
  if constexpr (kTwoRows) _tile_stored(2, to + to_below, block.out.stride);
  if constexpr (kTwoRows && kTwoColumns) {
    _tile_stored(3, to + to_below + kTileRowBytes, block.out.stride);
  }
}

THRESHER_AMX inline void ReleaseTiles() { _tile_release(); }

}  // namespace thresher::amx

#endif  // THRESHER_ENGINE_CPU_AMX_TILES_INL_H_
