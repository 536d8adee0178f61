#include "extract/arena.h"

#include <sys/mman.h>

#include "base/byte_size.h"
#include "base/check.h"

namespace thresher {

Arena::~Arena() {
  if (data_) munmap(data_, static_cast<size_t>(capacity_));
}

Status Arena::Reserve(int64_t bytes) {
  THRESHER_CHECK(bytes > 0);
  if (bytes <= capacity_) return OkStatus();
  if (data_) munmap(data_, static_cast<size_t>(capacity_));
  data_ = nullptr;
  capacity_ = 0;
  constexpr int64_t kAlignment = int64_t{2} << 20;
  const int64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = mmap(nullptr, static_cast<size_t>(rounded), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return ResourceExhausted("no memory for a shard of " + FormatBytes(static_cast<double>(bytes)) +
                             "; use a smaller --shard-bytes or fewer --arenas");
  }
  madvise(data, static_cast<size_t>(rounded), MADV_HUGEPAGE);  // a wish; failing is fine
  data_ = static_cast<std::byte*>(data);
  capacity_ = rounded;
  return OkStatus();
}

ArenaRing::ArenaRing(int64_t count) {
  THRESHER_CHECK(count > 0);
  for (int64_t i = 0; i < count; ++i) {
    arenas_.push_back(std::make_unique<Arena>());
    free_.push_back(arenas_.back().get());
  }
}

Result<ArenaRing::Lease> ArenaRing::Acquire(int64_t bytes) {
  Arena* arena = nullptr;
  {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return !free_.empty(); });
    arena = free_.back();
    free_.pop_back();
  }
  Lease lease(arena, Releaser(this));
  RETURN_IF_ERROR(arena->Reserve(bytes));
  return lease;
}

bool ArenaRing::has_free() const {
  std::lock_guard lock(mutex_);
  return !free_.empty();
}

int64_t ArenaRing::reserved_bytes() const {
  std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const auto& arena : arenas_) bytes += arena->capacity();
  return bytes;
}

void ArenaRing::Release(Arena* arena) {
  std::lock_guard lock(mutex_);
  free_.push_back(arena);
  freed_.notify_one();
}

}  // namespace thresher
