// SIMD exponentials; one copy per instruction set. Included by sources that use
// hwy/foreach_target.h, and by nothing else.

#if defined(THRESHER_ENGINE_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef THRESHER_ENGINE_CPU_MATH_INL_H_
#undef THRESHER_ENGINE_CPU_MATH_INL_H_
#else
#define THRESHER_ENGINE_CPU_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "engine/cpu/power_terms.h"
#include "shard/codec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace thresher {
namespace HWY_NAMESPACE {

// power * 2^whole for a power near 1 and a whole number in [-200, 0]; 0 below 2^-126, or below
// 2^-149 with AVX-512.
HWY_INLINE FloatVector ScaleByPowerOfTwo(FloatVector power, FloatVector whole) {
#if HWY_TARGET <= HWY_AVX3
  return FloatVector{_mm512_scalef_ps(power.raw, whole.raw)};
#else
  const FloatTag d;
  // The whole part goes straight into the exponent's bits.
  const auto is_small = hn::Lt(whole, hn::Set(d, -126.0F));
  const BitsVector exponent = hn::ShiftLeft<23>(hn::ConvertTo(BitsTag(), whole));
  return hn::IfThenZeroElse(is_small, FromBits(hn::Add(BitsOf(power), exponent)));
#endif
}

#if HWY_TARGET <= HWY_AVX3
// 2^x for x <= 0 with the processor's own split into whole and fraction.
HWY_INLINE FloatVector PowerOfTwoToBf16(FloatVector x) {
  const FloatTag d;
  constexpr int kFractionAboveFloor = 1;  // VREDUCEPS, no bits of fraction, rounding down
  const FloatVector f{_mm512_reduce_ps(x.raw, kFractionAboveFloor)};
  FloatVector power = hn::Set(d, kFractionPowerTerms[0]);
  for (size_t i = 1; i < kFractionPowerTerms.size(); ++i) {
    power = hn::MulAdd(power, f, hn::Set(d, kFractionPowerTerms[i]));
  }
  return FloatVector{_mm512_scalef_ps(power.raw, x.raw)};  // by 2^floor(x)
}
#endif

// 2^x for x <= 0, which may be minus infinity; below 2^-150 it is 0, and NaN stays NaN. The
// fraction's power is the Taylor series of exp(f ln 2) for |f| <= 1/2: its error is below 5e-9 with
// kDegree 7 and below 3e-6 with kDegree 5, which is enough for a result that is rounded to bf16.
template <int kDegree>
HWY_INLINE FloatVector PowerOfTwo(FloatVector x) {
#if HWY_TARGET <= HWY_AVX3
  if constexpr (kDegree == 5) return PowerOfTwoToBf16(x);
#endif
  const FloatTag d;
  // The second operand wins if one is NaN, so NaN passes through.
  const FloatVector clamped = hn::Max(hn::Set(d, -200.0F), x);
  const FloatVector whole = hn::Round(clamped);
  const FloatVector f = hn::Sub(clamped, whole);
  FloatVector power;
  if constexpr (kDegree == 7) {
    power = hn::Set(d, 1.5252733804059841e-5F);
    power = hn::MulAdd(power, f, hn::Set(d, 1.5403530393381608e-4F));
    power = hn::MulAdd(power, f, hn::Set(d, 1.3333558146428443e-3F));
  } else {
    static_assert(kDegree == 5);
    power = hn::Set(d, 1.3333558146428443e-3F);
  }
  power = hn::MulAdd(power, f, hn::Set(d, 9.6181291076284769e-3F));
  power = hn::MulAdd(power, f, hn::Set(d, 5.5504108664821580e-2F));
  power = hn::MulAdd(power, f, hn::Set(d, 2.4022650695910072e-1F));
  power = hn::MulAdd(power, f, hn::Set(d, 6.9314718055994531e-1F));
  power = hn::MulAdd(power, f, hn::Set(d, 1.0F));
  return ScaleByPowerOfTwo(power, whole);
}

// 1 / x for x in [1, 2]: the processor's estimate and one step of Newton's method, below 3e-7.
HWY_INLINE FloatVector Reciprocal(FloatVector x) {
  const FloatVector estimate = hn::ApproximateReciprocal(x);
  return hn::Mul(estimate, hn::NegMulAdd(x, estimate, hn::Set(FloatTag(), 2.0F)));
}

// 1 / (1 + exp(-x)). With t = exp(-|x|) nothing overflows. For large |x| the argument of the power
// is the product -|x| * log2(e), whose rounding error the second term of the product takes back
// (where there is a fused multiply-add; elsewhere results near 0 are exact to about 3e-6).
template <int kDegree>
HWY_INLINE FloatVector Sigmoid(FloatVector x) {
  const FloatTag d;
  const FloatVector one = hn::Set(d, 1.0F);
  // Below -200 the power is 0 in any case; infinity would make the error term NaN.
  const FloatVector magnitude = hn::Max(hn::Set(d, -200.0F), hn::Neg(hn::Abs(x)));
  FloatVector power;
  if constexpr (kDegree == 7) {
    const FloatVector product = hn::Mul(magnitude, hn::Set(d, kLog2E));
    // log2(e) - float(log2(e)) = 1.92596299e-8; exp2(p + e) = exp2(p) * (1 + e ln 2).
    const FloatVector error = hn::MulAdd(magnitude, hn::Set(d, 1.92596299e-8F),
                                         hn::MulSub(magnitude, hn::Set(d, kLog2E), product));
    power = PowerOfTwo<7>(product);
    power = hn::MulAdd(hn::Mul(power, error), hn::Set(d, 0.69314718F), power);
  } else {
    power = PowerOfTwo<kDegree>(hn::Mul(magnitude, hn::Set(d, kLog2E)));
  }
  const FloatVector numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), power, one);
  const FloatVector denominator = hn::Add(one, power);
  if constexpr (kDegree == 7) return hn::Div(numerator, denominator);
  return hn::Mul(numerator, Reciprocal(denominator));
}

}  // namespace HWY_NAMESPACE
}  // namespace thresher
HWY_AFTER_NAMESPACE();

#endif  // THRESHER_ENGINE_CPU_MATH_INL_H_
