#ifndef THRESHER_EXTRACT_ARENA_H_
#define THRESHER_EXTRACT_ARENA_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"

namespace thresher {

// A block of page-aligned memory in which a shard is built as the file it will be.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  // Makes room for `bytes`; the content is then undefined. kResourceExhausted if the system has no
  // such memory.
  Status Reserve(int64_t bytes);

  std::byte* data() { return data_; }
  int64_t capacity() const { return capacity_; }

 private:
  std::byte* data_ = nullptr;
  int64_t capacity_ = 0;
};

// The whole staging memory of a worker: a fixed number of arenas, each as large as the largest
// shard it has held. The engine waits here when all are being uploaded. Thread-safe.
class ArenaRing {
 public:
  explicit ArenaRing(int64_t count);

  // Gives the arena back to the ring when it goes; the ring must outlive it.
  class Releaser {
   public:
    explicit Releaser(ArenaRing* ring) : ring_(ring) {}
    void operator()(Arena* arena) const { ring_->Release(arena); }

   private:
    ArenaRing* ring_;
  };
  using Lease = std::unique_ptr<Arena, Releaser>;

  // Waits for a free arena and makes room for `bytes` in it.
  Result<Lease> Acquire(int64_t bytes);

  // True if Acquire would not wait now.
  bool has_free() const;

  int64_t reserved_bytes() const;

 private:
  void Release(Arena* arena);

  std::vector<std::unique_ptr<Arena>> arenas_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Arena*> free_;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_ARENA_H_
