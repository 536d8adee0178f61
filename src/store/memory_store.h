#ifndef THRESHER_STORE_MEMORY_STORE_H_
#define THRESHER_STORE_MEMORY_STORE_H_

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/store.h"

namespace thresher {

// A store in this process's memory, for tests and the simulator; gone with the object.
class MemoryStore : public Store {
 public:
  // `clock` (borrowed) is the store's own: its monotonic time becomes modified_ms.
  explicit MemoryStore(Clock& clock = Clock::Real()) : clock_(clock) {}

  std::string url() const override { return "memory:"; }
  Status Put(std::string_view key, std::span<const std::byte> bytes) override;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override;
  Result<std::string> GetText(std::string_view key) override;
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override;
  Result<ObjectInfo> Stat(std::string_view key) override;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override;
  Status Delete(std::string_view key) override;

 private:
  struct Object {
    std::vector<std::byte> bytes;
    int64_t modified_ms = 0;
  };

  Object NewObject(std::span<const std::byte> bytes) const;

  Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Object, std::less<>> objects_;  // guarded by mutex_
};

}  // namespace thresher

#endif  // THRESHER_STORE_MEMORY_STORE_H_
