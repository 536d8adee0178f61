#ifndef THRESHER_ENGINE_PJRT_HOST_ARRAY_H_
#define THRESHER_ENGINE_PJRT_HOST_ARRAY_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/pjrt/tensor_type.h"

namespace thresher {

// A dense row-major array of our own.
class HostArray {
 public:
  HostArray() = default;
  explicit HostArray(TensorType type)
      : type_(std::move(type)), bytes_(static_cast<size_t>(type_.bytes())) {}

  const TensorType& type() const { return type_; }
  std::byte* data() { return bytes_.data(); }
  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(bytes_.data());
  }
  ArrayView view() const { return {type_, bytes_.data()}; }

 private:
  TensorType type_;
  std::vector<std::byte> bytes_;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_HOST_ARRAY_H_
