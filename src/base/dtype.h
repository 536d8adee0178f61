#ifndef THRESHER_BASE_DTYPE_H_
#define THRESHER_BASE_DTYPE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace thresher {

// Element types of tensors in memory and in safetensors files.
enum class DType : uint8_t { kF32, kF16, kBf16, kF8E4M3, kI8, kI32, kI64 };

constexpr int64_t DTypeBytes(DType dtype) {
  switch (dtype) {
    case DType::kF8E4M3:
    case DType::kI8:
      return 1;
    case DType::kF16:
    case DType::kBf16:
      return 2;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kI64:
      return 8;
  }
  return 0;
}

// The name in safetensors headers: "F32", "F16", "BF16", "F8_E4M3", "I8", "I32", "I64".
std::string_view SafetensorsName(DType dtype);
std::optional<DType> DTypeFromSafetensorsName(std::string_view name);

// The name on the command line and in run.json: "f32", "f16", "bf16", "fp8_e4m3", "int8". Only
// those five can be stored.
std::string_view DTypeName(DType dtype);
std::optional<DType> StoredDTypeFromName(std::string_view name);

// True for the dtypes that are stored with one f32 scale per token: value = element * scale.
inline bool HasScale(DType dtype) { return dtype == DType::kF8E4M3 || dtype == DType::kI8; }

}  // namespace thresher

#endif  // THRESHER_BASE_DTYPE_H_
