#include "engine/cpu/amx_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "engine/cpu/amx_tiles-inl.h"
#include "engine/cpu/avx512_math-inl.h"

namespace thresher {
namespace {

using namespace amx;  // NOLINT(google-build-using-namespace)

// Keys whose probabilities are kept until the values are mixed: 32 KiB.
constexpr int64_t kBlockKeys = 512;
constexpr int64_t kVectorLanes = 16;
// Beyond it a block's offsets are raised. Sums and mixed values then stay below 2^80 or so.
constexpr float kLargestSum = 0x1p32F;

// The rows of a block of queries on their way through the keys.
class RowBlock {
 public:
  explicit RowBlock(const AmxAttention& attention);

  THRESHER_AMX void Run();

 private:
  THRESHER_AMX_INLINE void Score(int64_t key);
  THRESHER_AMX void RaiseOffsets(int64_t begin, int64_t end);
  THRESHER_AMX void Exponentiate(int64_t begin, int64_t end);
  THRESHER_AMX_INLINE void ExponentiatePanel(std::byte* probabilities);
  THRESHER_AMX void ExponentiateCutPanel(int64_t key, std::byte* probabilities);
  THRESHER_AMX bool SumsAreTooLarge() const;
  THRESHER_AMX void Mix(int64_t begin, int64_t end);

  // Bit k: whether a row sees key `key` + k.
  uint32_t Visible(size_t row, int64_t key) const;
  bool AllIsVisible(int64_t key) const {
    return key >= first_key_.back() && key + kAmxBlock <= end_key_.front();
  }

  const AmxAttention& attention_;
  const float scale_;  // in units of log2, so that the exponential is a power of two
  // A row sees the keys [first_key, end_key).
  std::array<int64_t, kAmxBlock> first_key_;
  std::array<int64_t, kAmxBlock> end_key_;
  std::array<float, kAmxBlock> offsets_;
  std::array<float, kAmxBlock> sums_;
  // Of the block at hand, one for each lane.
  alignas(64) std::array<float, kAmxBlock * kVectorLanes> block_sums_;
  alignas(64) std::array<float, kAmxBlock * kAmxBlock> scores_;  // of one panel
  // By panel, as the left operand of a product: [panel, kAmxBlock rows, kAmxBlock keys] bf16.
  alignas(64) std::array<std::byte, kBlockKeys * kAmxBlock * kElementBytes> probabilities_;
};

RowBlock::RowBlock(const AmxAttention& attention)
    : attention_(attention), scale_(attention.scale * kLog2E) {
  for (int64_t row = 0; row < kAmxBlock; ++row) {
    const int64_t query =
        attention.first_query + (attention.first_row + row) / attention.rows_per_query;
    const auto r = static_cast<size_t>(row);
    end_key_[r] = query + 1;
    first_key_[r] = attention.window > 0 ? std::max<int64_t>(0, query + 1 - attention.window) : 0;
  }
  offsets_.fill(-HUGE_VALF);
  sums_.fill(0.0F);
  std::fill_n(attention.mixed, kAmxBlock * attention.head_dim, 0.0F);
}

THRESHER_AMX void RowBlock::Run() {
  Configure({.rows = kAmxBlock, .columns = kAmxBlock});
  const int64_t first = first_key_.front() / kAmxBlock * kAmxBlock;
  const int64_t end = RoundUp(end_key_[static_cast<size_t>(attention_.rows - 1)], kAmxBlock);
  // Every row sees one of these keys: the first ones of neighbours are at most one apart.
  const int64_t panels = attention_.window > 0 ? 2 : 1;
  RaiseOffsets(first, std::min(first + panels * kAmxBlock, end));
  for (int64_t begin = first; begin < end; begin += kBlockKeys) {
    const int64_t block_end = std::min(begin + kBlockKeys, end);
    Exponentiate(begin, block_end);
    if (SumsAreTooLarge()) {
      RaiseOffsets(begin, block_end);
      Exponentiate(begin, block_end);
    }
    Mix(begin, block_end);
  }
  ReleaseTiles();
  std::ranges::copy(sums_, attention_.sums);
}

THRESHER_AMX_INLINE void RowBlock::Score(int64_t key) {
  const int64_t row_bytes = attention_.head_dim * kElementBytes;
  BlockOperands block;
  block.left = attention_.queries;
  block.left_stride = row_bytes;
  block.right = attention_.keys + key * row_bytes;
  block.steps = attention_.head_dim / kAmxBlock;
  block.out = {.data = reinterpret_cast<std::byte*>(scores_.data()),
               .stride = kAmxBlock * kFloatBytes};
  MultiplyBlock<true, true>(block);
}

uint32_t RowBlock::Visible(size_t row, int64_t key) const {
  const auto below = [&](int64_t position) {
    return (uint64_t{1} << std::clamp<int64_t>(position - key, 0, kAmxBlock)) - 1;
  };
  return static_cast<uint32_t>(below(end_key_[row]) & ~below(first_key_[row]));
}

// To the largest scaled score among the keys [begin, end), where that is higher.
THRESHER_AMX void RowBlock::RaiseOffsets(int64_t begin, int64_t end) {
  std::array<float, kAmxBlock> largest;
  largest.fill(-HUGE_VALF);
  for (int64_t key = begin; key < end; key += kAmxBlock) {
    Score(key);
    for (size_t r = 0; r < kAmxBlock; ++r) {
      const uint32_t visible = Visible(r, key);
      const float* scores = scores_.data() + r * kAmxBlock;
      const __m512 left = _mm512_load_ps(scores);
      const __m512 right = _mm512_load_ps(scores + kVectorLanes);
      largest[r] =
          std::max({largest[r], _mm512_mask_reduce_max_ps(static_cast<__mmask16>(visible), left),
                    _mm512_mask_reduce_max_ps(static_cast<__mmask16>(visible >> 16), right)});
    }
  }
  for (size_t r = 0; r < kAmxBlock; ++r) {
    const float offset = largest[r] * scale_;
    if (!(offset > offsets_[r])) continue;
    const float shrink = PowerOfTwo(offsets_[r] - offset);
    offsets_[r] = offset;
    sums_[r] *= shrink;
    float* mixed = attention_.mixed + static_cast<int64_t>(r) * attention_.head_dim;
    for (int64_t i = 0; i < attention_.head_dim; ++i) mixed[i] *= shrink;
  }
}

THRESHER_AMX void RowBlock::Exponentiate(int64_t begin, int64_t end) {
  block_sums_.fill(0.0F);
  std::byte* probabilities = probabilities_.data();
  for (int64_t key = begin; key < end; key += kAmxBlock, probabilities += kStepBytes) {
    Score(key);
    if (AllIsVisible(key)) {
      ExponentiatePanel(probabilities);
    } else {
      ExponentiateCutPanel(key, probabilities);
    }
  }
}

template <bool kIsCut>
THRESHER_AMX_INLINE void ExponentiateRow(const float* scores, float scale, float offset,
                                         uint32_t visible, float* sums, std::byte* out) {
  const __m512 factor = _mm512_set1_ps(scale);
  const __m512 offset_of_all = _mm512_set1_ps(offset);
  __m512 left = PowerOfTwo(_mm512_fmsub_ps(_mm512_load_ps(scores), factor, offset_of_all));
  __m512 right =
      PowerOfTwo(_mm512_fmsub_ps(_mm512_load_ps(scores + kVectorLanes), factor, offset_of_all));
  if constexpr (kIsCut) {
    left = _mm512_maskz_mov_ps(static_cast<__mmask16>(visible), left);
    right = _mm512_maskz_mov_ps(static_cast<__mmask16>(visible >> 16), right);
  }
  _mm512_store_ps(sums, _mm512_add_ps(_mm512_load_ps(sums), _mm512_add_ps(left, right)));
  const __m512bh rounded = _mm512_cvtne2ps_pbh(right, left);
  std::memcpy(out, &rounded, sizeof(rounded));
}

THRESHER_AMX_INLINE void RowBlock::ExponentiatePanel(std::byte* probabilities) {
  for (size_t r = 0; r < kAmxBlock; ++r) {
    ExponentiateRow<false>(scores_.data() + r * kAmxBlock, scale_, offsets_[r], 0,
                           block_sums_.data() + r * kVectorLanes,
                           probabilities + r * kTileRowBytes);
  }
}

THRESHER_AMX void RowBlock::ExponentiateCutPanel(int64_t key, std::byte* probabilities) {
  for (size_t r = 0; r < kAmxBlock; ++r) {
    ExponentiateRow<true>(scores_.data() + r * kAmxBlock, scale_, offsets_[r], Visible(r, key),
                          block_sums_.data() + r * kVectorLanes, probabilities + r * kTileRowBytes);
  }
}

THRESHER_AMX bool RowBlock::SumsAreTooLarge() const {
  __m512 largest = _mm512_setzero_ps();
  // The second operand wins if one is NaN: it stays unless there is a larger number.
  for (size_t i = 0; i < block_sums_.size(); i += kVectorLanes) {
    largest = _mm512_max_ps(_mm512_load_ps(block_sums_.data() + i), largest);
  }
  return _mm512_cmp_ps_mask(largest, _mm512_set1_ps(kLargestSum), _CMP_GT_OQ) != 0;
}

// Adds the block's sums and its values, each times its probability.
THRESHER_AMX void RowBlock::Mix(int64_t begin, int64_t end) {
  for (size_t r = 0; r < kAmxBlock; ++r) {
    sums_[r] += _mm512_reduce_add_ps(_mm512_load_ps(block_sums_.data() + r * kVectorLanes));
  }
  BlockOperands block;
  block.left = probabilities_.data();
  block.left_stride = kTileRowBytes;
  block.left_step = kStepBytes;
  block.steps = (end - begin) / kAmxBlock;
  for (int64_t column = 0; column < attention_.head_dim; column += kAmxBlock) {
    block.right = attention_.values + column / kAmxBlock * attention_.value_panel_bytes +
                  AmxPanelBytes(begin);
    block.out = {.data = reinterpret_cast<std::byte*>(attention_.mixed + column),
                 .stride = attention_.head_dim * kFloatBytes};
    block.begin = block.out;
    MultiplyBlock<true, true>(block);
  }
}

}  // namespace

THRESHER_AMX void AmxAttend(const AmxAttention& attention) {
  THRESHER_CHECK(attention.head_dim % kAmxBlock == 0 && attention.rows > 0);
  RowBlock(attention).Run();
}

}  // namespace thresher
