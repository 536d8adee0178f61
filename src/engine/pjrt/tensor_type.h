#ifndef THRESHER_ENGINE_PJRT_TENSOR_TYPE_H_
#define THRESHER_ENGINE_PJRT_TENSOR_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace thresher {

// What a tensor of a program is.
struct TensorType {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;

  bool operator==(const TensorType&) const = default;

  int64_t element_count() const;
  int64_t bytes() const { return element_count() * DTypeBytes(dtype); }

  // As StableHLO writes it: "tensor<2x3xbf16>", "tensor<i32>".
  std::string ToString() const;
};

// A dense row-major array in host memory; borrowed.
struct ArrayView {
  TensorType type;
  const std::byte* data = nullptr;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_TENSOR_TYPE_H_
