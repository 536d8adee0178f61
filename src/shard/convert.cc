#include "shard/convert.h"

#include <algorithm>
#include <cfloat>
#include <cstring>
#include <limits>

#include "base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shard/convert.cc"
#include <hwy/foreach_target.h>
// Must come after foreach_target.h.
#include <hwy/highway.h>

#include "shard/codec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace thresher {
namespace HWY_NAMESPACE {

// The last count % lanes values of a row go through a buffer of one vector, so that nothing beyond
// the row is read or written.
template <class Codec, class Transform>
void EncodeSpan(const float* in, size_t count, uint8_t* out, const Transform& transform) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    Codec::Store(transform(hn::LoadU(d, in + i)), out + i * Codec::kBytes);
  }
  if (i == count) return;
  HWY_ALIGN float values[hn::MaxLanes(d)] = {};
  HWY_ALIGN uint8_t stored[hn::MaxLanes(d) * Codec::kBytes];
  std::memcpy(values, in + i, (count - i) * sizeof(float));
  Codec::Store(transform(hn::Load(d, values)), stored);
  std::memcpy(out + i * Codec::kBytes, stored, (count - i) * Codec::kBytes);
}

template <class Codec, class Transform>
void DecodeSpan(const uint8_t* in, size_t count, float* out, const Transform& transform) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(transform(Codec::Load(in + i * Codec::kBytes)), d, out + i);
  }
  if (i == count) return;
  HWY_ALIGN uint8_t stored[hn::MaxLanes(d) * Codec::kBytes] = {};
  HWY_ALIGN float values[hn::MaxLanes(d)];
  std::memcpy(stored, in + i * Codec::kBytes, (count - i) * Codec::kBytes);
  hn::Store(transform(Codec::Load(stored)), d, values);
  std::memcpy(out + i, values, (count - i) * sizeof(float));
}

struct Unchanged {
  HWY_INLINE FloatVector operator()(FloatVector values) const { return values; }
};

struct DivideBy {
  float scale;
  HWY_INLINE FloatVector operator()(FloatVector values) const {
    return hn::Div(values, hn::Set(FloatTag(), scale));
  }
};

struct MultiplyBy {
  float scale;
  HWY_INLINE FloatVector operator()(FloatVector values) const {
    return hn::Mul(values, hn::Set(FloatTag(), scale));
  }
};

// The f32 bits of the largest magnitude; above those of any finite value if a value is not finite.
int32_t MaxMagnitudeBits(const float* in, size_t count) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  BitsVector largest = hn::Zero(BitsTag());
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    largest = hn::Max(largest, MagnitudeOf(BitsOf(hn::LoadU(d, in + i))));
  }
  if (i < count) {
    HWY_ALIGN float values[hn::MaxLanes(d)] = {};
    std::memcpy(values, in + i, (count - i) * sizeof(float));
    largest = hn::Max(largest, MagnitudeOf(BitsOf(hn::Load(d, values))));
  }
  return hn::GetLane(hn::MaxOfLanes(BitsTag(), largest));
}

template <class Codec>
void EncodePlain(const float* in, size_t rows, size_t width, size_t stride, uint8_t* out) {
  if (stride == width) {
    EncodeSpan<Codec>(in, rows * width, out, Unchanged());
    return;
  }
  for (size_t row = 0; row < rows; ++row) {
    EncodeSpan<Codec>(in + row * stride, width, out + row * width * Codec::kBytes, Unchanged());
  }
}

// `largest` is the largest element; `not_finite` stands for every element of a damaged row.
template <class Codec>
void EncodeScaled(const float* in, size_t rows, size_t width, size_t stride, float largest,
                  uint8_t not_finite, uint8_t* out, float* scales) {
  for (size_t row = 0; row < rows; ++row, in += stride, out += width) {
    const int32_t bits = MaxMagnitudeBits(in, width);
    if (bits >= kInfinityBits) {
      scales[row] = std::numeric_limits<float>::quiet_NaN();
      std::memset(out, not_finite, width);
      continue;
    }
    float max_abs;
    std::memcpy(&max_abs, &bits, sizeof(max_abs));
    // A subnormal scale would be too coarse itself, and zero where subnormals are flushed.
    scales[row] = bits == 0 ? 1.0f : std::max(max_abs / largest, FLT_MIN);
    EncodeSpan<Codec>(in, width, out, DivideBy{scales[row]});
  }
}

void EncodeRowsForTarget(const float* in, size_t rows, size_t width, size_t stride, DType dtype,
                         uint8_t* out, float* scales) {
  switch (dtype) {
    case DType::kF32:
      return EncodePlain<F32Codec>(in, rows, width, stride, out);
    case DType::kBf16:
      return EncodePlain<Bf16Codec>(in, rows, width, stride, out);
    case DType::kF16:
      return EncodePlain<F16Codec>(in, rows, width, stride, out);
    case DType::kF8E4M3:
      return EncodeScaled<F8E4M3Codec>(in, rows, width, stride, 448.0f, F8E4M3Codec::kNan, out,
                                       scales);
    case DType::kI8:
      return EncodeScaled<Int8Codec>(in, rows, width, stride, 127.0f, 0, out, scales);
    case DType::kI32:
    case DType::kI64:
      break;
  }
  THRESHER_CHECK(!"a dtype that rows can be stored in");
}

template <class Codec>
void DecodeScaled(const uint8_t* in, const float* scales, size_t rows, size_t width, float* out) {
  for (size_t row = 0; row < rows; ++row) {
    DecodeSpan<Codec>(in + row * width, width, out + row * width, MultiplyBy{scales[row]});
  }
}

void DecodeRowsForTarget(const uint8_t* in, const float* scales, size_t rows, size_t width,
                         DType dtype, float* out) {
  const size_t count = rows * width;
  switch (dtype) {
    case DType::kF32:
      return DecodeSpan<F32Codec>(in, count, out, Unchanged());
    case DType::kBf16:
      return DecodeSpan<Bf16Codec>(in, count, out, Unchanged());
    case DType::kF16:
      return DecodeSpan<F16Codec>(in, count, out, Unchanged());
    case DType::kF8E4M3:
      return DecodeScaled<F8E4M3Codec>(in, scales, rows, width, out);
    case DType::kI8:
      return DecodeScaled<Int8Codec>(in, scales, rows, width, out);
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

HWY_EXPORT(EncodeRowsForTarget);
HWY_EXPORT(DecodeRowsForTarget);

void EncodeRows(const float* in, int64_t rows, int64_t width, int64_t row_stride, DType dtype,
                std::byte* out, float* scales) {
  THRESHER_CHECK(rows >= 0 && width >= 0 && row_stride >= width);
  THRESHER_CHECK(scales != nullptr || !HasScale(dtype) || rows == 0);
  HWY_DYNAMIC_DISPATCH(EncodeRowsForTarget)
  (in, static_cast<size_t>(rows), static_cast<size_t>(width), static_cast<size_t>(row_stride),
   dtype, reinterpret_cast<uint8_t*>(out), scales);
}

void DecodeRows(const std::byte* in, const float* scales, int64_t rows, int64_t width, DType dtype,
                float* out) {
  THRESHER_CHECK(rows >= 0 && width >= 0);
  THRESHER_CHECK(scales != nullptr || !HasScale(dtype) || rows == 0);
  HWY_DYNAMIC_DISPATCH(DecodeRowsForTarget)
  (reinterpret_cast<const uint8_t*>(in), scales, static_cast<size_t>(rows),
   static_cast<size_t>(width), dtype, out);
}

}  // namespace thresher
#endif  // HWY_ONCE
