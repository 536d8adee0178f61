#ifndef THRESHER_ENGINE_CPU_ALIGNED_BUFFER_H_
#define THRESHER_ENGINE_CPU_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace thresher {

// Memory that begins at a cache line, zero at first.
class AlignedBuffer {
 public:
  // Makes room for `bytes` bytes. If it has to grow, the contents become zero. Throws
  // std::bad_alloc.
  void Reserve(int64_t bytes) {
    if (bytes <= bytes_) return;
    const size_t rounded = (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
    data_.reset();
    bytes_ = 0;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded)));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(data_.get(), 0, rounded);
    bytes_ = static_cast<int64_t>(rounded);
  }

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }

  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  static constexpr size_t kAlignment = 64;
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };

  std::unique_ptr<std::byte, Free> data_;
  int64_t bytes_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_ALIGNED_BUFFER_H_
