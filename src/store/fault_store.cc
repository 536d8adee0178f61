#include "store/fault_store.h"

#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

void CheckFault(const Fault& fault) {
  THRESHER_CHECK(fault.first_call >= 1 && fault.call_count >= 1 && fault.latency_ms >= 0);
  THRESHER_CHECK(!fault.status.ok());
  THRESHER_CHECK(fault.kind != FaultKind::kFalseConflict ||
                 fault.call == StoreCall::kCreateIfAbsent);
}

// Runs call(), a method of the inner store, unless the fault comes before it.
template <typename Call>
auto WithFault(const std::optional<Fault>& fault, const Call& call) -> decltype(call()) {
  if (!fault) return call();
  if (fault->kind == FaultKind::kErrorAfter) (void)call();
  return fault->status;
}

}  // namespace

FaultStore::FaultStore(Store& inner, Clock& clock, std::vector<Fault> plan)
    : inner_(inner), clock_(clock), plan_(std::move(plan)) {
  for (const Fault& fault : plan_) CheckFault(fault);
}

void FaultStore::AddFault(Fault fault) {
  CheckFault(fault);
  std::lock_guard lock(mutex_);
  plan_.push_back(std::move(fault));
}

int64_t FaultStore::CallCount() const {
  std::lock_guard lock(mutex_);
  return call_count_;
}

int64_t FaultStore::CallCount(StoreCall call) const {
  std::lock_guard lock(mutex_);
  return counts_[static_cast<size_t>(call)];
}

int64_t FaultStore::FaultCount() const {
  std::lock_guard lock(mutex_);
  return fault_count_;
}

std::optional<Fault> FaultStore::Meet(StoreCall call) {
  std::optional<Fault> met;
  int64_t wait_ms = 0;
  {
    std::lock_guard lock(mutex_);
    const int64_t number = ++call_count_;
    const int64_t number_of_sort = ++counts_[static_cast<size_t>(call)];
    bool any = false;
    for (const Fault& fault : plan_) {
      if (fault.call && *fault.call != call) continue;
      const int64_t since = (fault.call ? number_of_sort : number) - fault.first_call;
      if (since < 0 || since >= fault.call_count) continue;
      any = true;
      if (fault.kind == FaultKind::kLatency) {
        wait_ms += fault.latency_ms;
      } else if (!met) {
        met = fault;
      }
    }
    fault_count_ += any ? 1 : 0;
  }
  if (wait_ms > 0) clock_.SleepMs(wait_ms);
  return met;
}

Status FaultStore::Put(std::string_view key, std::span<const std::byte> bytes) {
  return WithFault(Meet(StoreCall::kPut), [&] { return inner_.Put(key, bytes); });
}

CreateResult FaultStore::CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) {
  const std::optional<Fault> fault = Meet(StoreCall::kCreateIfAbsent);
  if (!fault) return inner_.CreateIfAbsent(key, bytes);
  if (fault->kind == FaultKind::kFalseConflict) return {CreateOutcome::kConflict, OkStatus()};
  if (fault->kind == FaultKind::kErrorAfter) (void)inner_.CreateIfAbsent(key, bytes);
  return {CreateOutcome::kUnknown, fault->status};
}

Result<std::string> FaultStore::GetText(std::string_view key) {
  return WithFault(Meet(StoreCall::kGetText), [&] { return inner_.GetText(key); });
}

Status FaultStore::GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) {
  return WithFault(Meet(StoreCall::kGetRange), [&] { return inner_.GetRange(key, offset, out); });
}

Result<ObjectInfo> FaultStore::Stat(std::string_view key) {
  return WithFault(Meet(StoreCall::kStat), [&] { return inner_.Stat(key); });
}

Result<ListPage> FaultStore::List(std::string_view prefix, std::string_view start_after,
                                  int64_t limit) {
  return WithFault(Meet(StoreCall::kList), [&] { return inner_.List(prefix, start_after, limit); });
}

Status FaultStore::Delete(std::string_view key) {
  return WithFault(Meet(StoreCall::kDelete), [&] { return inner_.Delete(key); });
}

}  // namespace thresher
