#include "shard/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shard/statistics.cc"
#include <hwy/foreach_target.h>
// Must come after foreach_target.h.
#include <hwy/highway.h>

#include "shard/codec-inl.h"

// The order of summation, the same for every vector length:
// 1. Value c of a row belongs to lane c % 16; each lane has its own sums, in double.
// 2. A lane adds its values in storage order, over a block of max(1, 65536 / width) rows.
// 3. At the end of a block the lanes are added pairwise (8 apart, then 4, 2, 1) and the result is
//    added to the totals.
// A product of two f32 is exact in double, so it does not matter whether multiply and add are
// fused.

HWY_BEFORE_NAMESPACE();
namespace thresher {
namespace HWY_NAMESPACE {

constexpr size_t kLanes = 16;
constexpr size_t kBlockValues = 65536;

using DoubleTag = hn::ScalableTag<double>;
using DoubleVector = hn::Vec<DoubleTag>;
#if HWY_TARGET != HWY_SCALAR
using HalfTag = hn::Rebind<float, DoubleTag>;
#endif

constexpr size_t kDoubleLanes = hn::MaxLanes(DoubleTag());
constexpr size_t kFloatLanes = hn::MaxLanes(FloatTag());
constexpr size_t kDoubleVectors = kLanes / kDoubleLanes;
constexpr size_t kFloatVectors = kLanes / kFloatLanes;
static_assert(kFloatVectors * kFloatLanes == kLanes, "vectors of at most 512 bits");

double AddLanes(const DoubleVector* vectors) {
  HWY_ALIGN double lanes[kLanes];
  for (size_t i = 0; i < kDoubleVectors; ++i) {
    hn::Store(vectors[i], DoubleTag(), lanes + i * kDoubleLanes);
  }
  for (size_t apart = kLanes / 2; apart > 0; apart /= 2) {
    for (size_t i = 0; i < apart; ++i) lanes[i] += lanes[i + apart];
  }
  return lanes[0];
}

// The sums of one block; lives in registers.
struct BlockSums {
  DoubleVector sum[kDoubleVectors];
  DoubleVector sum_squares[kDoubleVectors];
  BitsVector max_magnitude = hn::Zero(BitsTag());
  BitsVector not_finite = hn::Zero(BitsTag());

  BlockSums() {
    for (size_t i = 0; i < kDoubleVectors; ++i) sum[i] = sum_squares[i] = hn::Zero(DoubleTag());
  }

  HWY_INLINE void AddDoubles(size_t index, DoubleVector values) {
    sum[index] = hn::Add(sum[index], values);
    sum_squares[index] = hn::MulAdd(values, values, sum_squares[index]);
  }

  // Adds 16 values; values[i] are lanes from i * kFloatLanes on.
  HWY_INLINE void AddGroup(const FloatVector* values) {
    for (size_t i = 0; i < kFloatVectors; ++i) {
      const BitsVector magnitude = MagnitudeOf(BitsOf(values[i]));
      const BitsVector finite =
          hn::VecFromMask(BitsTag(), hn::Lt(magnitude, SetBits(kInfinityBits)));
      // A mask is -1 where true: counts 1 where it is not.
      not_finite = hn::Add(not_finite, hn::Add(finite, SetBits(1)));
      max_magnitude = hn::Max(max_magnitude, hn::And(magnitude, finite));
      const FloatVector kept = FromBits(hn::And(BitsOf(values[i]), finite));
#if HWY_TARGET == HWY_SCALAR
      AddDoubles(i, hn::PromoteTo(DoubleTag(), kept));
#else
      AddDoubles(2 * i, hn::PromoteTo(DoubleTag(), hn::LowerHalf(HalfTag(), kept)));
      AddDoubles(2 * i + 1, hn::PromoteTo(DoubleTag(), hn::UpperHalf(HalfTag(), kept)));
#endif
    }
  }

  void AddTo(TensorStatistics& total) const {
    total.sum += AddLanes(sum);
    total.sum_squares += AddLanes(sum_squares);
    total.not_finite += hn::GetLane(hn::SumOfLanes(BitsTag(), not_finite));
    const FloatVector max_abs = FromBits(hn::MaxOfLanes(BitsTag(), max_magnitude));
    total.max_abs = std::max(total.max_abs, static_cast<double>(hn::GetLane(max_abs)));
  }
};

struct Unscaled {
  HWY_INLINE FloatVector operator()(FloatVector values) const { return values; }
};

struct ScaledBy {
  float scale;
  HWY_INLINE FloatVector operator()(FloatVector values) const {
    return hn::Mul(values, hn::Set(FloatTag(), scale));
  }
};

template <class Codec, class Transform>
HWY_INLINE void AddGroupAt(const uint8_t* in, const Transform& transform, BlockSums& sums) {
  FloatVector values[kFloatVectors];
  for (size_t i = 0; i < kFloatVectors; ++i) {
    values[i] = transform(Codec::Load(in + i * kFloatLanes * Codec::kBytes));
  }
  sums.AddGroup(values);
}

template <class Codec, class Transform>
HWY_INLINE void AddRow(const uint8_t* in, size_t width, const Transform& transform,
                       BlockSums& sums) {
  size_t column = 0;
  for (; column + kLanes <= width; column += kLanes) {
    AddGroupAt<Codec>(in + column * Codec::kBytes, transform, sums);
  }
  if (column == width) return;
  // Zeros, which change no sum, fill the last group.
  HWY_ALIGN uint8_t padded[kLanes * Codec::kBytes] = {};
  std::memcpy(padded, in + column * Codec::kBytes, (width - column) * Codec::kBytes);
  AddGroupAt<Codec>(padded, transform, sums);
}

// Calls add_row(row, sums) for every row, block by block.
template <class AddRowFn>
TensorStatistics SumBlocks(size_t rows, size_t width, const AddRowFn& add_row) {
  TensorStatistics total;
  total.count = static_cast<int64_t>(rows * width);
  if (total.count == 0) return total;
  const size_t rows_per_block = std::max<size_t>(1, kBlockValues / width);
  for (size_t begin = 0; begin < rows; begin += rows_per_block) {
    const size_t end = std::min(rows, begin + rows_per_block);
    BlockSums sums;
    for (size_t row = begin; row < end; ++row) {
      add_row(row, sums, total);
    }
    sums.AddTo(total);
  }
  return total;
}

template <class Codec>
TensorStatistics OfPlainRows(const uint8_t* in, size_t rows, size_t width) {
  return SumBlocks(rows, width, [=](size_t row, BlockSums& sums, TensorStatistics&) {
    AddRow<Codec>(in + row * width * Codec::kBytes, width, Unscaled(), sums);
  });
}

template <class Codec>
TensorStatistics OfScaledRows(const uint8_t* in, const float* scales, size_t rows, size_t width) {
  return SumBlocks(rows, width, [=](size_t row, BlockSums& sums, TensorStatistics& total) {
    if (!std::isfinite(scales[row])) {  // then no element times the scale is finite
      total.not_finite += static_cast<int64_t>(width);
      return;
    }
    AddRow<Codec>(in + row * width * Codec::kBytes, width, ScaledBy{scales[row]}, sums);
  });
}

TensorStatistics StatisticsForTarget(const uint8_t* in, const float* scales, size_t rows,
                                     size_t width, DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return OfPlainRows<F32Codec>(in, rows, width);
    case DType::kBf16:
      return OfPlainRows<Bf16Codec>(in, rows, width);
    case DType::kF16:
      return OfPlainRows<F16Codec>(in, rows, width);
    case DType::kF8E4M3:
      return OfScaledRows<F8E4M3Codec>(in, scales, rows, width);
    case DType::kI8:
      return OfScaledRows<Int8Codec>(in, scales, rows, width);
    case DType::kI32:
    case DType::kI64:
      break;
  }
  THRESHER_CHECK(!"a dtype that rows can be stored in");
}

}  // namespace HWY_NAMESPACE
}  // namespace thresher
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace thresher {

HWY_EXPORT(StatisticsForTarget);

void TensorStatistics::Merge(const TensorStatistics& other) {
  count += other.count;
  not_finite += other.not_finite;
  sum += other.sum;
  sum_squares += other.sum_squares;
  max_abs = std::max(max_abs, other.max_abs);
}

Moments MomentsOf(const TensorStatistics& statistics) {
  const auto finite = static_cast<double>(statistics.count - statistics.not_finite);
  if (finite <= 0) return {};
  const double mean = statistics.sum / finite;
  const double mean_square = statistics.sum_squares / finite;
  return {.mean = mean,
          .standard_deviation = std::sqrt(std::max(0.0, mean_square - mean * mean)),
          .root_mean_square = std::sqrt(mean_square),
          .norm = std::sqrt(statistics.sum_squares)};
}

TensorStatistics ComputeStatistics(const std::byte* in, const float* scales, int64_t rows,
                                   int64_t width, DType dtype) {
  THRESHER_CHECK(rows >= 0 && width >= 0);
  THRESHER_CHECK(scales != nullptr || !HasScale(dtype) || rows == 0);
  return HWY_DYNAMIC_DISPATCH(StatisticsForTarget)(reinterpret_cast<const uint8_t*>(in), scales,
                                                   static_cast<size_t>(rows),
                                                   static_cast<size_t>(width), dtype);
}

}  // namespace thresher
#endif  // HWY_ONCE
