#include "engine/pjrt/stablehlo_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>

#include "base/check.h"

namespace thresher {

std::string ArrayText(std::span<const int64_t> values) {
  return values.empty() ? "array<i64>" : fmt::format("array<i64: {}>", fmt::join(values, ", "));
}

std::string MaskType(const std::vector<int64_t>& shape) {
  std::string text = "tensor<";
  for (const int64_t extent : shape) text += fmt::format("{}x", extent);
  return text + "i1>";
}

std::string FloatText(float value, DType dtype) {
  if (std::isfinite(value)) return fmt::format("{:.9e}", value);
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (dtype == DType::kF32) return fmt::format("0x{:08X}", bits);
  if (dtype == DType::kBf16) return fmt::format("0x{:04X}", bits >> 16);
  THRESHER_CHECK(dtype == DType::kF16);
  const uint32_t sign = (bits >> 16) & 0x8000;
  return fmt::format("0x{:04X}", sign | (std::isnan(value) ? 0x7E00U : 0x7C00U));
}

std::string LayoutText(const std::vector<int64_t>& minor_to_major) {
  return fmt::format("dense<[{}]> : tensor<{}xindex>", fmt::join(minor_to_major, ", "),
                     minor_to_major.size());
}

std::string RowMajorText(size_t rank) {
  std::vector<int64_t> axes;
  for (size_t axis = rank; axis > 0; --axis) axes.push_back(static_cast<int64_t>(axis) - 1);
  return LayoutText(axes);
}

std::string QuotedText(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const bool is_plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
    quoted += is_plain ? std::string(1, c) : fmt::format("\\{:02X}", static_cast<unsigned char>(c));
  }
  return quoted + '"';
}

}  // namespace thresher
