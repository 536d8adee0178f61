#include "store/fault_store.h"

#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace thresher {
namespace {

void CheckFault(const Fault& fault) {
  THRESHER_CHECK(fault.first_call >= 1 && fault.call_count >= 1 && fault.latency_ms >= 0);
  THRESHER_CHECK(fault.probability >= 0 && fault.probability <= 1);
  THRESHER_CHECK(!fault.status.ok());
  THRESHER_CHECK(fault.kind != FaultKind::kFalseConflict ||
                 fault.call == StoreCall::kCreateIfAbsent);
}

}  // namespace

FaultStore::FaultStore(Store& inner, Clock& clock, std::vector<Fault> plan, uint64_t seed)
    : inner_(inner), clock_(clock), seed_(seed), plan_(std::move(plan)) {
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

// A pure function of seed, fault and call, so that it does not matter what else the plan holds.
bool FaultStore::Happens(size_t fault_index, int64_t call_number) const {
  const double probability = plan_[fault_index].probability;
  if (probability >= 1) return true;
  Random of_fault(seed_ + fault_index);
  Random of_call(of_fault.Next() + static_cast<uint64_t>(call_number));
  return of_call.Uniform() < probability;
}

std::optional<Fault> FaultStore::Meet(StoreCall call) {
  std::optional<Fault> met;
  int64_t wait_ms = 0;
  {
    std::lock_guard lock(mutex_);
    const int64_t number = ++call_count_;
    const int64_t number_of_sort = ++counts_[static_cast<size_t>(call)];
    bool any = false;
    for (size_t i = 0; i < plan_.size(); ++i) {
      const Fault& fault = plan_[i];
      if (fault.call && *fault.call != call) continue;
      const int64_t since = (fault.call ? number_of_sort : number) - fault.first_call;
      if (since < 0 || since >= fault.call_count || !Happens(i, number)) continue;
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

template <typename Call>
auto FaultStore::WithFault(StoreCall sort, const Call& call) -> decltype(call()) {
  const std::optional<Fault> fault = Meet(sort);
  if (!fault) return call();
  const bool takes_effect =
      fault->kind == FaultKind::kErrorAfter || fault->kind == FaultKind::kHangAfter;
  if (takes_effect) (void)call();
  if (fault->kind == FaultKind::kHang || fault->kind == FaultKind::kHangAfter) {
    clock_.SleepMs(fault->latency_ms);
  }
  if constexpr (std::is_same_v<decltype(call()), CreateResult>) {
    if (fault->kind == FaultKind::kFalseConflict) return {CreateOutcome::kConflict, OkStatus()};
    return {CreateOutcome::kUnknown, fault->status};
  } else {
    return fault->status;
  }
}

Status FaultStore::Put(std::string_view key, std::span<const std::byte> bytes) {
  return WithFault(StoreCall::kPut, [&] { return inner_.Put(key, bytes); });
}

CreateResult FaultStore::CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) {
  return WithFault(StoreCall::kCreateIfAbsent, [&] { return inner_.CreateIfAbsent(key, bytes); });
}

Result<std::string> FaultStore::GetText(std::string_view key) {
  return WithFault(StoreCall::kGetText, [&] { return inner_.GetText(key); });
}

Status FaultStore::GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) {
  return WithFault(StoreCall::kGetRange, [&] { return inner_.GetRange(key, offset, out); });
}

Result<ObjectInfo> FaultStore::Stat(std::string_view key) {
  return WithFault(StoreCall::kStat, [&] { return inner_.Stat(key); });
}

Result<ListPage> FaultStore::List(std::string_view prefix, std::string_view start_after,
                                  int64_t limit) {
  return WithFault(StoreCall::kList, [&] { return inner_.List(prefix, start_after, limit); });
}

Status FaultStore::Delete(std::string_view key) {
  return WithFault(StoreCall::kDelete, [&] { return inner_.Delete(key); });
}

}  // namespace thresher
