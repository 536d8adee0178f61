#include "engine/pjrt/tensor_type.h"

#include <fmt/format.h>

#include <string_view>

#include "base/check.h"

namespace thresher {
namespace {

std::string_view ElementName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBf16:
      return "bf16";
    case DType::kF8E4M3:
      return "f8E4M3FN";
    case DType::kI8:
      return "i8";
    case DType::kI32:
      return "i32";
    case DType::kI64:
      return "i64";
  }
  THRESHER_CHECK(false);
  return "";
}

}  // namespace

int64_t TensorType::element_count() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string TensorType::ToString() const {
  std::string text = "tensor<";
  for (const int64_t extent : shape) text += fmt::format("{}x", extent);
  return text + std::string(ElementName(dtype)) + ">";
}

}  // namespace thresher
