#ifndef THRESHER_SHARD_CONVERT_H_
#define THRESHER_SHARD_CONVERT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace thresher {

// Stored form of rows of activations. SIMD with run-time dispatch; any alignment of `out` and
// `in`; thread-safe. Rounding is to nearest, ties to even, for every dtype:
//   f32       as it is
//   bf16, f16 IEEE; f16 overflows to infinity; NaN stays NaN
//   fp8_e4m3  element = row / scale, scale = max|row| / 448 (OCP FP8 E4M3: no infinity, NaN = 0x7f)
//   int8      element = row / scale rounded, in [-127, 127], scale = max|row| / 127
// Scaled dtypes: no scale is below 2^-126, the smallest normal f32; an all-zero row has scale 1; a
// row with a value that is not finite has scale NaN and elements 0 (int8) or NaN (fp8), so that the
// damage is seen and not spread.

// Converts `rows` rows of `width` f32 values, `row_stride` values apart, to contiguous stored rows.
// `scales` [rows] is written only if HasScale(dtype).
void EncodeRows(const float* in, int64_t rows, int64_t width, int64_t row_stride, DType dtype,
                std::byte* out, float* scales);

// The inverse: contiguous stored rows to contiguous f32 rows.
void DecodeRows(const std::byte* in, const float* scales, int64_t rows, int64_t width, DType dtype,
                float* out);

}  // namespace thresher

#endif  // THRESHER_SHARD_CONVERT_H_
