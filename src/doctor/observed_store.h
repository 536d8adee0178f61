#ifndef THRESHER_DOCTOR_OBSERVED_STORE_H_
#define THRESHER_DOCTOR_OBSERVED_STORE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/fault_store.h"
#include "store/store.h"

namespace thresher {

// "put", "create", "read", "read range", "stat", "list", "delete".
std::string_view StoreCallName(StoreCall call);

// Passes calls on to another store and measures how long each takes; once `stop` says so, answers
// kCancelled and passes nothing on any more, so that whatever runs over it ends soon. Thread-safe.
class ObservedStore : public Store {
 public:
  // `inner` and `clock` are borrowed; `stop` may be empty.
  ObservedStore(Store& inner, Clock& clock, std::function<bool()> stop)
      : inner_(inner), clock_(clock), stop_(std::move(stop)) {}

  bool Stopped() const { return stop_ && stop_(); }

  // Durations of the calls since the last TakeDurations, in microseconds, unordered. Only answers
  // without an error count.
  std::vector<int64_t> TakeDurations(StoreCall call);

  std::string url() const override { return inner_.url(); }
  Status Put(std::string_view key, std::span<const std::byte> bytes) override;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override;
  Result<std::string> GetText(std::string_view key) override;
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override;
  Result<ObjectInfo> Stat(std::string_view key) override;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override;
  Status Delete(std::string_view key) override;

 private:
  template <typename Call>
  auto Observe(StoreCall sort, const Call& call) -> decltype(call());

  Store& inner_;
  Clock& clock_;
  const std::function<bool()> stop_;
  std::mutex mutex_;
  std::array<std::vector<int64_t>, kStoreCallCount> durations_us_;  // guarded by mutex_
};

}  // namespace thresher

#endif  // THRESHER_DOCTOR_OBSERVED_STORE_H_
