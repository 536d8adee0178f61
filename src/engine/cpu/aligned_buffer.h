#ifndef THRESHER_ENGINE_CPU_ALIGNED_BUFFER_H_
#define THRESHER_ENGINE_CPU_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace thresher {

inline constexpr int64_t kCacheLine = 64;  // bytes

// Gives back memory of an AlignedBuffer.
struct ReleaseAligned {
  size_t mapped_bytes = 0;  // 0: from the heap
  void operator()(std::byte* data) const;
};

// Memory that begins at a cache line, zero at first. Large memory begins at a huge page and is
// asked for in huge pages: a product that streams weights through the caches then misses far fewer
// address translations. Its pages are taken when they are first written, near the core that does.
class AlignedBuffer {
 public:
  // Makes room for `bytes` bytes. If it has to grow, the contents become zero. Throws
  // std::bad_alloc.
  void Reserve(int64_t bytes);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }

  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  std::unique_ptr<std::byte, ReleaseAligned> data_;
  int64_t bytes_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_ALIGNED_BUFFER_H_
