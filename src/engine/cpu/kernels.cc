#include "engine/cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/cpu/kernels.cc"
#include <hwy/foreach_target.h>
// Must come after foreach_target.h.
#include <hwy/highway.h>

#include "engine/cpu/math-inl.h"
#include "shard/codec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace thresher {
namespace HWY_NAMESPACE {

// Elements as f32 vectors. A vector that reaches past `count` elements goes through a buffer, so
// that nothing beyond them is read or written; the missing lanes are 0.
template <class Codec>
HWY_INLINE FloatVector LoadElements(const uint8_t* row, int64_t index, int64_t count) {
  constexpr size_t kMaxLanes = hn::MaxLanes(FloatTag());
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  const uint8_t* from = row + index * static_cast<int64_t>(Codec::kBytes);
  if (HWY_LIKELY(index + lanes <= count)) return Codec::Load(from);
  HWY_ALIGN uint8_t buffer[kMaxLanes * Codec::kBytes] = {};
  std::memcpy(buffer, from, static_cast<size_t>(count - index) * Codec::kBytes);
  return Codec::Load(buffer);
}

template <class Codec>
HWY_INLINE void StoreElements(FloatVector values, uint8_t* row, int64_t index, int64_t count) {
  constexpr size_t kMaxLanes = hn::MaxLanes(FloatTag());
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  uint8_t* to = row + index * static_cast<int64_t>(Codec::kBytes);
  if (HWY_LIKELY(index + lanes <= count)) {
    Codec::Store(values, to);
    return;
  }
  HWY_ALIGN uint8_t buffer[kMaxLanes * Codec::kBytes];
  Codec::Store(values, buffer);
  std::memcpy(to, buffer, static_cast<size_t>(count - index) * Codec::kBytes);
}

const uint8_t* Input(const Rows& rows, int64_t row) {
  return reinterpret_cast<const uint8_t*>(rows.row(row));
}
uint8_t* Output(const Rows& rows, int64_t row) { return reinterpret_cast<uint8_t*>(rows.row(row)); }
const uint8_t* Bytes(const float* values) { return reinterpret_cast<const uint8_t*>(values); }

// Calls function(codec) for the codec of a dtype.
template <class Function>
void WithCodec(DType dtype, const Function& function) {
  if (dtype == DType::kF32) {
    function(F32Codec());
  } else {
    function(Bf16Codec());
  }
}

template <class OutCodec>
void NormalizeRow(const uint8_t* in, const uint8_t* weight, float epsilon, int64_t width,
                  uint8_t* out) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  // Two sums hide the latency of the addition.
  FloatVector sum0 = hn::Zero(d);
  FloatVector sum1 = hn::Zero(d);
  for (int64_t i = 0; i < width; i += 2 * lanes) {
    const FloatVector first = LoadElements<F32Codec>(in, i, width);
    sum0 = hn::MulAdd(first, first, sum0);
    if (i + lanes >= width) break;
    const FloatVector second = LoadElements<F32Codec>(in, i + lanes, width);
    sum1 = hn::MulAdd(second, second, sum1);
  }
  const float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  const FloatVector factor =
      hn::Set(d, 1.0F / std::sqrt(sum / static_cast<float>(width) + epsilon));
  for (int64_t i = 0; i < width; i += lanes) {
    const FloatVector value = hn::Mul(LoadElements<F32Codec>(in, i, width), factor);
    StoreElements<OutCodec>(hn::Mul(value, LoadElements<F32Codec>(weight, i, width)), out, i,
                            width);
  }
}

void NormalizeRowsImpl(RowsShape shape, const Rows& in, const float* weight, float epsilon,
                       const Rows& out) {
  WithCodec(out.dtype, [&](auto codec) {
    for (int64_t r = 0; r < shape.rows; ++r) {
      NormalizeRow<decltype(codec)>(Input(in, r), Bytes(weight), epsilon, shape.width,
                                    Output(out, r));
    }
  });
}

void AddRowsImpl(RowsShape shape, const Rows& a, const Rows& b, const Rows& out) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t i = 0; i < shape.width; i += lanes) {
      const FloatVector sum = hn::Add(LoadElements<F32Codec>(Input(a, r), i, shape.width),
                                      LoadElements<F32Codec>(Input(b, r), i, shape.width));
      StoreElements<F32Codec>(sum, Output(out, r), i, shape.width);
    }
  }
}

// What is rounded to bf16 needs no more than five terms of the exponential.
template <class Codec>
inline constexpr int kPowerDegree = 7;
template <>
inline constexpr int kPowerDegree<Bf16Codec> = 5;

void GateRowsImpl(RowsShape shape, const Rows& gate, const Rows& up, const Rows& out) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  WithCodec(out.dtype, [&](auto codec) {
    using Codec = decltype(codec);
    for (int64_t r = 0; r < shape.rows; ++r) {
      const uint8_t* gates = Input(gate, r);
      const uint8_t* ups = Input(up, r);
      uint8_t* products = Output(out, r);
      for (int64_t i = 0; i < shape.width; i += lanes) {
        const FloatVector x = LoadElements<F32Codec>(gates, i, shape.width);
        const FloatVector silu = hn::Mul(x, Sigmoid<kPowerDegree<Codec>>(x));
        StoreElements<Codec>(hn::Mul(silu, LoadElements<F32Codec>(ups, i, shape.width)), products,
                             i, shape.width);
      }
    }
  });
}

void ConvertRowsImpl(RowsShape shape, const Rows& in, const Rows& out) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  WithCodec(in.dtype, [&](auto in_codec) {
    WithCodec(out.dtype, [&](auto out_codec) {
      for (int64_t r = 0; r < shape.rows; ++r) {
        for (int64_t i = 0; i < shape.width; i += lanes) {
          StoreElements<decltype(out_codec)>(
              LoadElements<decltype(in_codec)>(Input(in, r), i, shape.width), Output(out, r), i,
              shape.width);
        }
      }
    });
  });
}

template <class Codec>
void RotateHead(const RopeShape& shape, const uint8_t* cosines, const uint8_t* in, uint8_t* out) {
  const int64_t n = shape.frequency_count;
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  const auto in_bytes = static_cast<int64_t>(sizeof(float));
  const auto out_bytes = static_cast<int64_t>(Codec::kBytes);
  const uint8_t* sines = cosines + n * in_bytes;
  for (int64_t c = 0; c < n; c += lanes) {
    const FloatVector cosine = LoadElements<F32Codec>(cosines, c, n);
    const FloatVector sine = LoadElements<F32Codec>(sines, c, n);
    const FloatVector first = LoadElements<F32Codec>(in, c, n);
    const FloatVector second = LoadElements<F32Codec>(in + n * in_bytes, c, n);
    StoreElements<Codec>(hn::NegMulAdd(second, sine, hn::Mul(first, cosine)), out, c, n);
    StoreElements<Codec>(hn::MulAdd(first, sine, hn::Mul(second, cosine)), out + n * out_bytes, c,
                         n);
  }
  const int64_t rest = shape.head_dim - 2 * n;
  for (int64_t c = 0; c < rest; c += lanes) {
    StoreElements<Codec>(LoadElements<F32Codec>(in + 2 * n * in_bytes, c, rest),
                         out + 2 * n * out_bytes, c, rest);
  }
}

void RotateRowsImpl(const RopeShape& shape, const float* table, const int32_t* positions,
                    const Rows& in, const Rows& out) {
  WithCodec(out.dtype, [&](auto codec) {
    using Codec = decltype(codec);
    for (int64_t r = 0; r < shape.rows; ++r) {
      const uint8_t* cosines = Bytes(table + int64_t{positions[r]} * 2 * shape.frequency_count);
      for (int64_t h = 0; h < shape.heads; ++h) {
        const int64_t first = h * shape.head_dim;
        RotateHead<Codec>(shape, cosines,
                          Input(in, r) + first * static_cast<int64_t>(sizeof(float)),
                          Output(out, r) + first * static_cast<int64_t>(Codec::kBytes));
      }
    }
  });
}

// Rounds values that are not NaN, half a step up; the sum of the row carries a NaN anyway.
HWY_INLINE void StoreProbability(FloatVector values, float* out) {
  hn::StoreU(values, FloatTag(), out);
}
HWY_INLINE void StoreProbability(FloatVector values, uint16_t* out) {
  const BitsVector rounded = hn::ShiftRight<16>(hn::Add(BitsOf(values), SetBits(0x8000)));
  hn::StoreU(hn::DemoteTo(HalfWidth::Tag(), rounded), HalfWidth::Tag(), out);
}

// Scores of keys outside [begin, end) become minus infinity. `index` is the vector's first key.
HWY_INLINE FloatVector MaskScores(FloatVector scores, int64_t index, int64_t begin, int64_t end) {
  const BitsTag d;
  const BitsVector key = hn::Iota(d, static_cast<int32_t>(index));
  const auto visible = hn::And(hn::Gt(key, hn::Set(d, static_cast<int32_t>(begin) - 1)),
                               hn::Lt(key, hn::Set(d, static_cast<int32_t>(end))));
  return hn::IfThenElse(hn::RebindMask(FloatTag(), visible), scores,
                        hn::Set(FloatTag(), -HUGE_VALF));
}

// The keys [begin, end) of a block that one row sees, and the whole vectors around them.
struct VisibleKeys {
  int64_t begin;
  int64_t end;
  int64_t vectors_begin;  // rounded down to a whole vector
  int64_t vectors_end;    // rounded up
};

VisibleKeys FindVisibleKeys(const SoftmaxBlock& block, int64_t row, int64_t lanes) {
  const int64_t query = block.first_query + row / block.rows_per_query;
  VisibleKeys visible;
  visible.end = std::clamp<int64_t>(query + 1 - block.first_key, 0, block.keys);
  visible.begin = 0;
  if (block.window > 0) {
    visible.begin = std::clamp<int64_t>(query + 1 - block.window - block.first_key, 0, visible.end);
  }
  if (visible.begin == visible.end) return {0, 0, 0, 0};
  visible.vectors_begin = visible.begin / lanes * lanes;
  visible.vectors_end = (visible.end + lanes - 1) / lanes * lanes;
  return visible;
}

// Whether a row sees all of the keys [first, first + count).
HWY_INLINE bool AreVisible(const VisibleKeys& keys, int64_t first, int64_t count) {
  return first >= keys.begin && first + count <= keys.end;
}

HWY_INLINE float LargestScore(const float* scores, const VisibleKeys& keys, float scale,
                              int64_t lanes) {
  const FloatTag d;
  FloatVector largest = hn::Set(d, -HUGE_VALF);
  FloatVector other = largest;
  for (int64_t i = keys.vectors_begin; i < keys.vectors_end;) {
    if (HWY_LIKELY(AreVisible(keys, i, 2 * lanes))) {
      largest = hn::Max(largest, hn::LoadU(d, scores + i));
      other = hn::Max(other, hn::LoadU(d, scores + i + lanes));
      i += 2 * lanes;
    } else {
      largest = hn::Max(largest, MaskScores(hn::LoadU(d, scores + i), i, keys.begin, keys.end));
      i += lanes;
    }
  }
  // Rounding keeps the order, so the largest score is also the largest when scaled.
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(largest, other))) * scale;
}

void ScaleRow(float* row, int64_t width, float factor) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto* bytes = reinterpret_cast<uint8_t*>(row);
  for (int64_t i = 0; i < width; i += lanes) {
    StoreElements<F32Codec>(hn::Mul(LoadElements<F32Codec>(bytes, i, width), hn::Set(d, factor)),
                            bytes, i, width);
  }
}

// 2^x of one number, by the same operations as the vectors.
template <int kDegree>
float PowerOfTwo(float x) {
  return hn::GetLane(PowerOfTwo<kDegree>(hn::Set(FloatTag(), x)));
}

template <int kDegree, typename Element>
void UpdateSoftmaxRow(const SoftmaxBlock& block, int64_t r, Element* probabilities) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float* scores = block.scores + r * block.keys;
  const VisibleKeys keys = FindVisibleKeys(block, r, lanes);
  std::fill(probabilities, probabilities + keys.vectors_begin, Element{0});
  std::fill(probabilities + keys.vectors_end, probabilities + block.keys, Element{0});
  if (keys.begin == keys.end) return;

  // In units of log2, so that the exponential is a power of two.
  const float scale = block.scale * kLog2E;
  const float largest = std::max(block.largest[r], LargestScore(scores, keys, scale, lanes));
  const FloatVector factor = hn::Set(d, scale);
  const FloatVector offset = hn::Set(d, largest);
  // Two vectors at a time hide the latency of the exponential's chain.
  FloatVector sum = hn::Zero(d);
  FloatVector other_sum = hn::Zero(d);
  const auto exponent = [&](int64_t i) HWY_ATTR {
    return hn::MulSub(hn::LoadU(d, scores + i), factor, offset);
  };
  for (int64_t i = keys.vectors_begin; i < keys.vectors_end;) {
    if (HWY_LIKELY(AreVisible(keys, i, 2 * lanes))) {
      const FloatVector power = PowerOfTwo<kDegree>(exponent(i));
      const FloatVector other = PowerOfTwo<kDegree>(exponent(i + lanes));
      sum = hn::Add(sum, power);
      other_sum = hn::Add(other_sum, other);
      StoreProbability(power, probabilities + i);
      StoreProbability(other, probabilities + i + lanes);
      i += 2 * lanes;
    } else {
      const FloatVector power =
          PowerOfTwo<kDegree>(MaskScores(exponent(i), i, keys.begin, keys.end));
      sum = hn::Add(sum, power);
      StoreProbability(power, probabilities + i);
      i += lanes;
    }
  }
  const float block_sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum, other_sum)));
  if (largest != block.largest[r]) {
    const float shrink = PowerOfTwo<kDegree>(block.largest[r] - largest);
    ScaleRow(block.mixed + r * block.head_dim, block.head_dim, shrink);
    block.sum[r] *= shrink;
    block.largest[r] = largest;
  }
  block.sum[r] += block_sum;
}

void UpdateSoftmaxImpl(const SoftmaxBlock& block) {
  for (int64_t r = 0; r < block.rows; ++r) {
    std::byte* row = block.probabilities.row(r);
    if (block.probabilities.dtype == DType::kF32) {
      UpdateSoftmaxRow<7>(block, r, reinterpret_cast<float*>(row));
    } else {
      UpdateSoftmaxRow<5>(block, r, reinterpret_cast<uint16_t*>(row));
    }
  }
}

void DivideRowsImpl(RowsShape shape, const Rows& in, const float* divisors, const Rows& out) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  WithCodec(out.dtype, [&](auto codec) {
    for (int64_t r = 0; r < shape.rows; ++r) {
      const FloatVector factor = hn::Set(FloatTag(), 1.0F / divisors[r]);
      for (int64_t i = 0; i < shape.width; i += lanes) {
        StoreElements<decltype(codec)>(
            hn::Mul(LoadElements<F32Codec>(Input(in, r), i, shape.width), factor), Output(out, r),
            i, shape.width);
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace thresher
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace thresher {

HWY_EXPORT(NormalizeRowsImpl);
HWY_EXPORT(AddRowsImpl);
HWY_EXPORT(GateRowsImpl);
HWY_EXPORT(ConvertRowsImpl);
HWY_EXPORT(RotateRowsImpl);
HWY_EXPORT(UpdateSoftmaxImpl);
HWY_EXPORT(DivideRowsImpl);

void NormalizeRows(RowsShape shape, Rows in, const float* weight, float epsilon, Rows out) {
  THRESHER_CHECK(in.dtype == DType::kF32);
  HWY_DYNAMIC_DISPATCH(NormalizeRowsImpl)(shape, in, weight, epsilon, out);
}

void AddRows(RowsShape shape, Rows a, Rows b, Rows out) {
  THRESHER_CHECK(a.dtype == DType::kF32 && b.dtype == DType::kF32 && out.dtype == DType::kF32);
  HWY_DYNAMIC_DISPATCH(AddRowsImpl)(shape, a, b, out);
}

void GateRows(RowsShape shape, Rows gate, Rows up, Rows out) {
  THRESHER_CHECK(gate.dtype == DType::kF32 && up.dtype == DType::kF32);
  HWY_DYNAMIC_DISPATCH(GateRowsImpl)(shape, gate, up, out);
}

void ConvertRows(RowsShape shape, Rows in, Rows out) {
  HWY_DYNAMIC_DISPATCH(ConvertRowsImpl)(shape, in, out);
}

void RotateRows(RopeShape shape, const float* table, const int32_t* positions, Rows in, Rows out) {
  THRESHER_CHECK(in.dtype == DType::kF32);
  HWY_DYNAMIC_DISPATCH(RotateRowsImpl)(shape, table, positions, in, out);
}

void UpdateSoftmax(const SoftmaxBlock& block) {
  THRESHER_CHECK(block.keys % 16 == 0);
  HWY_DYNAMIC_DISPATCH(UpdateSoftmaxImpl)(block);
}

void DivideRows(RowsShape shape, Rows in, const float* divisors, Rows out) {
  THRESHER_CHECK(in.dtype == DType::kF32);
  HWY_DYNAMIC_DISPATCH(DivideRowsImpl)(shape, in, divisors, out);
}

}  // namespace thresher
#endif  // HWY_ONCE
