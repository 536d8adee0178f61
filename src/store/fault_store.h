#ifndef THRESHER_STORE_FAULT_STORE_H_
#define THRESHER_STORE_FAULT_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/store.h"

namespace thresher {

enum class StoreCall : uint8_t {
  kPut,
  kCreateIfAbsent,
  kGetText,
  kGetRange,
  kStat,
  kList,
  kDelete
};
inline constexpr size_t kStoreCallCount = 7;

enum class FaultKind : uint8_t {
  kErrorBefore,    // the call fails and has no effect
  kErrorAfter,     // the call has its effect, but its answer is lost
  kFalseConflict,  // CreateIfAbsent only: answers kConflict and has no effect, like S3's 409
  kLatency,        // the call works, after a wait
  kHang,           // no answer until a time-out: after a wait, the call fails and has no effect
  kHangAfter,      // the same, but the call had its effect before the wait
};

// What goes wrong, and at which calls: those numbered first_call .. first_call + call_count - 1,
// counted from 1 among all calls, or among those of one sort if `call` is given.
struct Fault {
  FaultKind kind = FaultKind::kErrorBefore;
  std::optional<StoreCall> call = std::nullopt;
  int64_t first_call = 1;
  int64_t call_count = 1;
  int64_t latency_ms = 0;  // kLatency, kHang, kHangAfter: how long, slept on the store's Clock
  double probability = 1;  // that one of those calls meets the fault
  Status status = Unavailable("injected fault");
};

// Passes calls on to another store, with planned faults: the same calls in the same order, with the
// same seed, meet the same faults. Where several faults meet one call, waits add up and the first
// other one counts. url() is not counted.
class FaultStore : public Store {
 public:
  // `inner` and `clock` are borrowed; `seed` decides about faults that are not certain.
  FaultStore(Store& inner, Clock& clock, std::vector<Fault> plan = {}, uint64_t seed = 0);

  // Adds a fault; its call numbers still count from the beginning.
  void AddFault(Fault fault);

  // Calls so far, failed ones included.
  int64_t CallCount() const;
  int64_t CallCount(StoreCall call) const;
  // Calls so far that met a fault.
  int64_t FaultCount() const;

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
  // Counts the call, waits if the plan says so, and returns the fault that it meets.
  std::optional<Fault> Meet(StoreCall call);
  bool Happens(size_t fault_index, int64_t call_number) const;
  // Runs call(), a method of the inner store, as the fault lets it.
  template <typename Call>
  auto WithFault(StoreCall sort, const Call& call) -> decltype(call());

  Store& inner_;
  Clock& clock_;
  const uint64_t seed_;
  mutable std::mutex mutex_;
  std::vector<Fault> plan_;                        // guarded by mutex_
  std::array<int64_t, kStoreCallCount> counts_{};  // guarded by mutex_
  int64_t call_count_ = 0;                         // guarded by mutex_
  int64_t fault_count_ = 0;                        // guarded by mutex_
};

}  // namespace thresher

#endif  // THRESHER_STORE_FAULT_STORE_H_
