#include "engine/cpu/amx_product.h"

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "engine/cpu/processor.h"

#define THRESHER_AMX __attribute__((target("amx-tile,amx-bf16,prfchw")))
#define THRESHER_AMX_INLINE THRESHER_AMX inline __attribute__((always_inline))

namespace thresher {
namespace {

constexpr int64_t kTileRows = 16;
constexpr int64_t kTileRowBytes = 64;
constexpr int64_t kTileBytes = kTileRows * kTileRowBytes;
constexpr int64_t kTileColumns = 16;  // f32 in a row of a tile
constexpr int64_t kStepBytes = 2 * kTileBytes;
constexpr int64_t kElementBytes = 2;
constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));
// With fewer rows there is too little work in a panel to hide the fetching of the next one.
constexpr int64_t kFewestRowsToPrefetch = 64;
// With fewer steps the output's lines are wanted before they could have come.
constexpr int64_t kFewestStepsToPrefetch = 8;

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
THRESHER_AMX void Configure(const Extent& extent) {
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
  int64_t left_stride = 0;
  const std::byte* right = nullptr;  // one panel
  int64_t steps = 0;
  FloatBlock begin;  // without data: zero
  FloatBlock out;
  const std::byte* next_panel = nullptr;
  int64_t next_lines = 0;   // of the next panel to fetch in each step
  int64_t output_rows = 0;  // to fetch, in the first steps
};

THRESHER_AMX void PrefetchRow(const std::byte* row) {
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
    left += kTileRowBytes;
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

THRESHER_AMX_INLINE void MultiplyBlock(const Extent& extent, const BlockOperands& block) {
  const bool two_rows = extent.rows > kTileRows;
  const bool two_columns = extent.columns > kTileColumns;
  if (two_rows && two_columns) return MultiplyBlock<true, true>(block);
  if (two_rows) return MultiplyBlock<true, false>(block);
  if (two_columns) return MultiplyBlock<false, true>(block);
  MultiplyBlock<false, false>(block);
}

THRESHER_AMX void ReleaseTiles() { _tile_release(); }

void RoundBlock(const float* block, const Extent& extent, int64_t columns, std::byte* out) {
  ConvertRows(
      {.rows = extent.rows, .width = extent.columns},
      {.data = reinterpret_cast<std::byte*>(const_cast<float*>(block)), .stride = kAmxBlock},
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
  const int64_t padded_inner = RoundUp(inner, kAmxBlock);
  const int64_t padded_columns = RoundUp(columns, kAmxBlock);
  constexpr int64_t kPairBytes = 2 * kElementBytes;
  for (int64_t c = 0; c < padded_columns; ++c) {
    std::byte* to = packed + c / kAmxBlock * panel_bytes +
                    c % kAmxBlock / kTileColumns * kTileBytes + c % kTileColumns * kPairBytes;
    const std::byte* from = in.row(c);
    // Pair i of inputs stands in row i % 16 of the tile of step i / 16.
    for (int64_t i = 0; i < padded_inner / 2; ++i) {
      std::array<std::byte, kPairBytes> pair = {};
      if (c < columns) {
        const int64_t inputs = std::clamp<int64_t>(inner - 2 * i, 0, 2);
        if (inputs == 2) std::memcpy(pair.data(), from + i * kPairBytes, kPairBytes);
        if (inputs == 1) std::memcpy(pair.data(), from + i * kPairBytes, kElementBytes);
      }
      std::memcpy(to + i / kTileRows * kStepBytes + i % kTileRows * kTileRowBytes, pair.data(),
                  kPairBytes);
    }
  }
}

void AmxPackRows(const Rows& in, int64_t inner, int64_t columns, int64_t panel_bytes,
                 std::byte* packed) {
  const int64_t padded_inner = RoundUp(inner, kAmxBlock);
  const int64_t padded_columns = RoundUp(columns, kAmxBlock);
  for (int64_t i = 0; i < padded_inner; ++i) {
    const std::byte* from = in.row(i);
    std::byte* to = packed + i / kAmxBlock * kStepBytes + i % kAmxBlock / 2 * kTileRowBytes +
                    i % 2 * kElementBytes;
    for (int64_t c = 0; c < padded_columns; ++c) {
      std::byte* at = to + c / kAmxBlock * panel_bytes + c % kAmxBlock / kTileColumns * kTileBytes +
                      c % kTileColumns * 2 * kElementBytes;
      if (i < inner && c < columns) {
        std::memcpy(at, from + c * kElementBytes, kElementBytes);
      } else {
        std::memset(at, 0, kElementBytes);
      }
    }
  }
}

THRESHER_AMX void AmxMultiply(const AmxProduct& product) {
  THRESHER_CHECK(product.inner % kAmxBlock == 0);
  const bool is_rounded = product.out_dtype == DType::kBf16;
  THRESHER_CHECK(!product.accumulates || (!is_rounded && product.bias == nullptr));
  alignas(kTileRowBytes) std::array<float, kAmxBlock * kAmxBlock> unrounded;
  const int64_t out_bytes = DTypeBytes(product.out_dtype);
  const int64_t out_stride = product.columns * out_bytes;
  const int64_t row_blocks = RoundUp(product.rows, kAmxBlock) / kAmxBlock;
  BlockOperands block;
  block.left_stride = product.inner * kElementBytes;
  block.steps = product.inner / kAmxBlock;
  if (product.rows >= kFewestRowsToPrefetch) {
    block.next_lines = RoundUp(kStepBytes / kTileRowBytes, row_blocks) / row_blocks;
  }
  if (!is_rounded && block.steps >= kFewestStepsToPrefetch) block.output_rows = kAmxBlock;
  Extent configured;
  for (int64_t column = 0; column < product.columns; column += kAmxBlock) {
    block.right = product.right + column / kAmxBlock * product.panel_bytes;
    block.next_panel = block.right + product.panel_bytes;
    for (int64_t row = 0; row < product.rows; row += kAmxBlock) {
      const Extent extent = {.rows = std::min(kAmxBlock, product.rows - row),
                             .columns = std::min(kAmxBlock, product.columns - column)};
      if (extent != configured) Configure(extent);
      configured = extent;
      std::byte* out = product.out + row * out_stride + column * out_bytes;
      block.left = product.left + row * block.left_stride;
      block.out = {.data = out, .stride = out_stride};
      if (is_rounded) {
        block.out = {.data = reinterpret_cast<std::byte*>(unrounded.data()),
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
      if (is_rounded) RoundBlock(unrounded.data(), extent, product.columns, out);
      block.next_panel += block.steps * block.next_lines * kTileRowBytes;
    }
  }
  ReleaseTiles();
}

}  // namespace thresher
