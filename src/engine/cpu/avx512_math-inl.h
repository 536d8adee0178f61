// The exponentials of math-inl.h for results that are rounded to bf16, operation by operation, for
// the kernels on the tile unit: processors that have one have AVX-512.

#ifndef THRESHER_ENGINE_CPU_AVX512_MATH_INL_H_
#define THRESHER_ENGINE_CPU_AVX512_MATH_INL_H_

#include <cstddef>

#include "engine/cpu/amx_tiles-inl.h"
#include "engine/cpu/power_terms.h"

namespace thresher::amx {

// 2^x.
THRESHER_AMX_INLINE __m512 PowerOfTwo(__m512 x) {
  constexpr int kFractionAboveFloor = 1;  // VREDUCEPS, no bits of fraction, rounding down
  const __m512 fraction = _mm512_reduce_ps(x, kFractionAboveFloor);
  __m512 power = _mm512_set1_ps(kFractionPowerTerms[0]);
  for (size_t i = 1; i < kFractionPowerTerms.size(); ++i) {
    power = _mm512_fmadd_ps(power, fraction, _mm512_set1_ps(kFractionPowerTerms[i]));
  }
  return _mm512_scalef_ps(power, x);  // by 2^floor(x)
}

THRESHER_AMX_INLINE float PowerOfTwo(float x) {
  return _mm512_cvtss_f32(PowerOfTwo(_mm512_set1_ps(x)));
}

// x / (1 + exp(-x)). See Sigmoid in math-inl.h.
THRESHER_AMX_INLINE __m512 Silu(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0F);
  const __m512 negative = _mm512_or_ps(x, _mm512_set1_ps(-0.0F));
  const __m512 magnitude = _mm512_max_ps(_mm512_set1_ps(-200.0F), negative);
  const __m512 power = PowerOfTwo(_mm512_mul_ps(magnitude, _mm512_set1_ps(kLog2E)));
  const __mmask16 is_negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
  const __m512 numerator = _mm512_mask_mov_ps(one, is_negative, power);
  const __m512 denominator = _mm512_add_ps(one, power);
  const __m512 estimate = _mm512_rcp14_ps(denominator);
  const __m512 reciprocal =
      _mm512_mul_ps(estimate, _mm512_fnmadd_ps(denominator, estimate, _mm512_set1_ps(2.0F)));
  return _mm512_mul_ps(x, _mm512_mul_ps(numerator, reciprocal));
}

}  // namespace thresher::amx

#endif  // THRESHER_ENGINE_CPU_AVX512_MATH_INL_H_
