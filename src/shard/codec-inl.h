// SIMD conversion between vectors of f32 and stored elements; one copy per instruction set.
// Included by sources that use hwy/foreach_target.h, and by nothing else.

#if defined(THRESHER_SHARD_CODEC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef THRESHER_SHARD_CODEC_INL_H_
#undef THRESHER_SHARD_CODEC_INL_H_
#else
#define THRESHER_SHARD_CODEC_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace thresher {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using BitsTag = hn::ScalableTag<int32_t>;
using FloatVector = hn::Vec<FloatTag>;
using BitsVector = hn::Vec<BitsTag>;

// Bit patterns are handled as int32: with the sign bit cleared they order like the magnitudes, and
// signed comparisons are the cheap ones on x86.
inline constexpr int32_t kInfinityBits = 0x7f800000;

HWY_INLINE BitsVector BitsOf(FloatVector value) { return hn::BitCast(BitsTag(), value); }
HWY_INLINE FloatVector FromBits(BitsVector bits) { return hn::BitCast(FloatTag(), bits); }
HWY_INLINE BitsVector SetBits(int32_t bits) { return hn::Set(BitsTag(), bits); }
HWY_INLINE BitsVector MagnitudeOf(BitsVector bits) { return hn::And(bits, SetBits(0x7fffffff)); }

// bits / 2^kShift, to nearest, ties to even, for bits in [0, 2^31 - 2^kShift).
template <int kShift>
HWY_INLINE BitsVector RoundingShiftRight(BitsVector bits) {
  const BitsVector odd = hn::And(hn::ShiftRight<kShift>(bits), SetBits(1));
  const BitsVector half = SetBits((1 << (kShift - 1)) - 1);
  return hn::ShiftRight<kShift>(hn::Add(bits, hn::Add(half, odd)));
}

// IEEE-like formats with fewer bits than f32: kMantissaBits below the leading one and the given
// exponent bias. Only finite values; the caller deals with infinities, NaN and overflow.
template <int kMantissaBits, int kBias>
struct SmallFloat {
  static constexpr int kShift = 23 - kMantissaBits;
  static constexpr int32_t kRebias = (127 - kBias) << 23;
  // The f32 bits of the smallest normal number.
  static constexpr int32_t kMinNormal = (128 - kBias) << 23;
  // The f32 bits of the power of two whose last mantissa bit is worth as much as the last bit of a
  // subnormal number: adding it makes the floating-point adder do the rounding.
  static constexpr int32_t kMagic = (151 - kBias - kMantissaBits) << 23;

  // The small format's bits, without sign, of the magnitude with the given f32 bits.
  static HWY_INLINE BitsVector Encode(BitsVector magnitude) {
    const BitsVector normal = RoundingShiftRight<kShift>(hn::Sub(magnitude, SetBits(kRebias)));
    const BitsVector sum = BitsOf(hn::Add(FromBits(magnitude), FromBits(SetBits(kMagic))));
    const BitsVector subnormal = hn::Sub(sum, SetBits(kMagic));
    return hn::IfThenElse(hn::Lt(magnitude, SetBits(kMinNormal)), subnormal, normal);
  }

  // The inverse.
  static HWY_INLINE BitsVector Decode(BitsVector magnitude) {
    const BitsVector normal = hn::Add(hn::ShiftLeft<kShift>(magnitude), SetBits(kRebias));
    const FloatVector sum = FromBits(hn::Add(magnitude, SetBits(kMagic)));
    const BitsVector subnormal = BitsOf(hn::Sub(sum, FromBits(SetBits(kMagic))));
    const auto is_subnormal = hn::Lt(magnitude, SetBits(1 << kMantissaBits));
    return hn::IfThenElse(is_subnormal, subnormal, normal);
  }
};

// A codec stores and loads one vector's worth of values at any address:
//   static void Store(FloatVector values, uint8_t* out);
//   static FloatVector Load(const uint8_t* in);
// Scales are the caller's business.

struct F32Codec {
  static constexpr size_t kBytes = 4;

  static HWY_INLINE void Store(FloatVector values, uint8_t* out) {
    hn::StoreU(values, FloatTag(), reinterpret_cast<float*>(out));
  }
  static HWY_INLINE FloatVector Load(const uint8_t* in) {
    return hn::LoadU(FloatTag(), reinterpret_cast<const float*>(in));
  }
};

struct HalfWidth {
  static constexpr size_t kBytes = 2;
  using Tag = hn::Rebind<uint16_t, FloatTag>;

  static HWY_INLINE void StoreBits(BitsVector bits, uint8_t* out) {
    hn::StoreU(hn::DemoteTo(Tag(), bits), Tag(), reinterpret_cast<uint16_t*>(out));
  }
  static HWY_INLINE BitsVector LoadBits(const uint8_t* in) {
    return hn::PromoteTo(BitsTag(), hn::LoadU(Tag(), reinterpret_cast<const uint16_t*>(in)));
  }
};

// The upper half of an f32.
struct Bf16Codec : HalfWidth {
  static HWY_INLINE void Store(FloatVector values, uint8_t* out) {
    const BitsVector bits = BitsOf(values);
    const hn::ScalableTag<uint32_t> unsigned_tag;
    const auto unsigned_bits = hn::BitCast(unsigned_tag, bits);
    const auto upper = hn::ShiftRight<16>(unsigned_bits);
    const auto odd = hn::And(upper, hn::Set(unsigned_tag, 1));
    const auto rounded =
        hn::ShiftRight<16>(hn::Add(unsigned_bits, hn::Add(odd, hn::Set(unsigned_tag, 0x7fff))));
    // Rounding could carry a NaN into infinity or zero; the set bit keeps it a NaN, a quiet one.
    const auto quiet = hn::Or(upper, hn::Set(unsigned_tag, 0x40));
    const auto is_nan = hn::Gt(MagnitudeOf(bits), SetBits(kInfinityBits));
    StoreBits(
        hn::IfThenElse(is_nan, hn::BitCast(BitsTag(), quiet), hn::BitCast(BitsTag(), rounded)),
        out);
  }
  static HWY_INLINE FloatVector Load(const uint8_t* in) {
    return FromBits(hn::ShiftLeft<16>(LoadBits(in)));
  }
};

struct F16Codec : HalfWidth {
  using Format = SmallFloat<10, 15>;
  static constexpr int32_t kInfinity = 0x7c00;
  static constexpr int32_t kQuietNan = 0x7e00;

  static HWY_INLINE void Store(FloatVector values, uint8_t* out) {
    const BitsVector bits = BitsOf(values);
    const BitsVector magnitude = MagnitudeOf(bits);
    const auto is_nan = hn::Gt(magnitude, SetBits(kInfinityBits));
    const BitsVector special = hn::IfThenElse(is_nan, SetBits(kQuietNan), SetBits(kInfinity));
    // Values that round to infinity from below 2^16 get there by the carry into the exponent.
    const auto is_special = hn::Gt(magnitude, SetBits(((127 + 16) << 23) - 1));
    const BitsVector result = hn::IfThenElse(is_special, special, Format::Encode(magnitude));
    const BitsVector sign = hn::And(hn::ShiftRight<16>(bits), SetBits(0x8000));
    StoreBits(hn::Or(sign, result), out);
  }
  static HWY_INLINE FloatVector Load(const uint8_t* in) {
    const BitsVector bits = LoadBits(in);
    const BitsVector magnitude = hn::And(bits, SetBits(0x7fff));
    const BitsVector special =
        hn::Or(SetBits(kInfinityBits), hn::ShiftLeft<13>(hn::And(bits, SetBits(0x3ff))));
    const auto is_special = hn::Gt(magnitude, SetBits(kInfinity - 1));
    const BitsVector result = hn::IfThenElse(is_special, special, Format::Decode(magnitude));
    const BitsVector sign = hn::ShiftLeft<16>(hn::And(bits, SetBits(0x8000)));
    return FromBits(hn::Or(sign, result));
  }
};

struct QuarterWidth {
  static constexpr size_t kBytes = 1;
  using UnsignedTag = hn::Rebind<uint8_t, FloatTag>;
  using SignedTag = hn::Rebind<int8_t, FloatTag>;
};

// OCP 8-bit Floating Point Specification, E4M3: largest 448, no infinities, NaN = 0x7f.
struct F8E4M3Codec : QuarterWidth {
  using Format = SmallFloat<3, 7>;
  static constexpr int32_t kNan = 0x7f;

  // Only for finite values that round to at most 448.
  static HWY_INLINE void Store(FloatVector values, uint8_t* out) {
    const BitsVector bits = BitsOf(values);
    const BitsVector sign = hn::And(hn::ShiftRight<24>(bits), SetBits(0x80));
    const BitsVector result = hn::Or(sign, Format::Encode(MagnitudeOf(bits)));
    hn::StoreU(hn::DemoteTo(UnsignedTag(), result), UnsignedTag(), out);
  }
  static HWY_INLINE FloatVector Load(const uint8_t* in) {
    const BitsVector bits = hn::PromoteTo(BitsTag(), hn::LoadU(UnsignedTag(), in));
    const BitsVector magnitude = hn::And(bits, SetBits(0x7f));
    const auto is_nan = hn::Eq(magnitude, SetBits(kNan));
    const BitsVector result =
        hn::IfThenElse(is_nan, SetBits(0x7fc00000), Format::Decode(magnitude));
    const BitsVector sign = hn::ShiftLeft<24>(hn::And(bits, SetBits(0x80)));
    return FromBits(hn::Or(sign, result));
  }
};

struct Int8Codec : QuarterWidth {
  // Only for finite values that round to within [-127, 127].
  static HWY_INLINE void Store(FloatVector values, uint8_t* out) {
    const BitsVector rounded = hn::NearestInt(values);
    hn::StoreU(hn::DemoteTo(SignedTag(), rounded), SignedTag(), reinterpret_cast<int8_t*>(out));
  }
  static HWY_INLINE FloatVector Load(const uint8_t* in) {
    const auto elements = hn::LoadU(SignedTag(), reinterpret_cast<const int8_t*>(in));
    return hn::ConvertTo(FloatTag(), hn::PromoteTo(BitsTag(), elements));
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace thresher
HWY_AFTER_NAMESPACE();

#endif  // THRESHER_SHARD_CODEC_INL_H_
