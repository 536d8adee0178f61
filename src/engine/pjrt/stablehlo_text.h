#ifndef THRESHER_ENGINE_PJRT_STABLEHLO_TEXT_H_
#define THRESHER_ENGINE_PJRT_STABLEHLO_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace thresher {

// Attributes and types as MLIR writes them.

std::string ArrayText(std::span<const int64_t> values);

// The type of a tensor of truth values.
std::string MaskType(const std::vector<int64_t>& shape);

// Finite values have a decimal point; the others are written as the bits that they are. Of f32,
// bf16 and f16.
std::string FloatText(float value, DType dtype);

// A layout: the axes of a value as they lie in memory, from the innermost.
std::string LayoutText(const std::vector<int64_t>& minor_to_major);
std::string RowMajorText(size_t rank);

// In quotes: printable ASCII as it is but for quotes and backslashes, the rest in hexadecimal.
std::string QuotedText(std::string_view text);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_STABLEHLO_TEXT_H_
