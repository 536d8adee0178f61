#include "base/dtype.h"

#include <array>

#include "base/check.h"

namespace thresher {
namespace {

struct Description {
  DType dtype;
  std::string_view safetensors_name;
  std::string_view name;
  bool stored;
};

constexpr std::array<Description, 7> kDescriptions = {{
    {DType::kF32, "F32", "f32", true},
    {DType::kF16, "F16", "f16", true},
    {DType::kBf16, "BF16", "bf16", true},
    {DType::kF8E4M3, "F8_E4M3", "fp8_e4m3", true},
    {DType::kI8, "I8", "int8", true},
    {DType::kI32, "I32", "int32", false},
    {DType::kI64, "I64", "int64", false},
}};

const Description& Describe(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  THRESHER_CHECK(index < kDescriptions.size() && kDescriptions[index].dtype == dtype);
  return kDescriptions[index];
}

}  // namespace

std::string_view SafetensorsName(DType dtype) { return Describe(dtype).safetensors_name; }

std::string_view DTypeName(DType dtype) { return Describe(dtype).name; }

std::optional<DType> DTypeFromSafetensorsName(std::string_view name) {
  for (const Description& d : kDescriptions) {
    if (d.safetensors_name == name) return d.dtype;
  }
  return std::nullopt;
}

std::optional<DType> StoredDTypeFromName(std::string_view name) {
  for (const Description& d : kDescriptions) {
    if (d.stored && d.name == name) return d.dtype;
  }
  return std::nullopt;
}

}  // namespace thresher
