#include "engine/cpu/aligned_buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/round_up.h"

namespace thresher {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

std::byte* AllocateFromHeap(size_t bytes) {
  void* data = std::aligned_alloc(kCacheLine, bytes);
  if (data == nullptr) throw std::bad_alloc();
  std::memset(data, 0, bytes);
  return static_cast<std::byte*>(data);
}

// Whole pages from the beginning of a huge one on, which the system zeroes.
std::byte* MapHugePages(size_t bytes) {
  const size_t reserved = bytes + kHugePage;
  void* mapped =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<std::byte*>(mapped);
  const auto address = reinterpret_cast<uintptr_t>(mapped);
  const size_t head = (kHugePage - address % kHugePage) % kHugePage;
  if (head > 0) munmap(begin, head);
  if (head < kHugePage) munmap(begin + head + bytes, kHugePage - head);
  // Only advice: with ordinary pages all is as right, and slower.
  madvise(begin + head, bytes, MADV_HUGEPAGE);
  return begin + head;
}

}  // namespace

void ReleaseAligned::operator()(std::byte* data) const {
  if (mapped_bytes > 0) {
    munmap(data, mapped_bytes);
  } else {
    std::free(data);
  }
}

void AlignedBuffer::Reserve(int64_t bytes) {
  if (bytes <= bytes_) return;
  constexpr int64_t kPage = 4096;
  const bool is_large = bytes >= kHugePage;
  const auto rounded = static_cast<size_t>(RoundUp(bytes, is_large ? kPage : kCacheLine));
  data_.reset();
  bytes_ = 0;
  std::byte* data = is_large ? MapHugePages(rounded) : AllocateFromHeap(rounded);
  data_ = {data, ReleaseAligned{is_large ? rounded : 0}};
  bytes_ = static_cast<int64_t>(rounded);
}

}  // namespace thresher
