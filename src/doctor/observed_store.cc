#include "doctor/observed_store.h"

#include <type_traits>
#include <utility>

namespace thresher {
namespace {

bool Answered(const Status& status) { return status.ok(); }
bool Answered(const CreateResult& created) { return created.outcome != CreateOutcome::kUnknown; }
template <typename T>
bool Answered(const Result<T>& result) {
  return result.ok();
}

}  // namespace

std::string_view StoreCallName(StoreCall call) {
  switch (call) {
    case StoreCall::kPut:
      return "put";
    case StoreCall::kCreateIfAbsent:
      return "create";
    case StoreCall::kGetText:
      return "read";
    case StoreCall::kGetRange:
      return "read range";
    case StoreCall::kStat:
      return "stat";
    case StoreCall::kList:
      return "list";
    case StoreCall::kDelete:
      return "delete";
  }
  return "";
}

template <typename Call>
auto ObservedStore::Observe(StoreCall sort, const Call& call) -> decltype(call()) {
  using Answer = decltype(call());
  if (Stopped()) {
    Status stopped = Cancelled("stopped on request");
    if constexpr (std::is_same_v<Answer, CreateResult>) {
      return {CreateOutcome::kUnknown, std::move(stopped)};
    } else {
      return stopped;
    }
  }
  const int64_t begin_us = clock_.MonotonicUs();
  Answer answer = call();
  const int64_t duration_us = clock_.MonotonicUs() - begin_us;
  if (Answered(answer)) {
    std::lock_guard lock(mutex_);
    durations_us_[static_cast<size_t>(sort)].push_back(duration_us);
  }
  return answer;
}

std::vector<int64_t> ObservedStore::TakeDurations(StoreCall call) {
  std::lock_guard lock(mutex_);
  return std::exchange(durations_us_[static_cast<size_t>(call)], {});
}

Status ObservedStore::Put(std::string_view key, std::span<const std::byte> bytes) {
  return Observe(StoreCall::kPut, [&] { return inner_.Put(key, bytes); });
}

CreateResult ObservedStore::CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) {
  return Observe(StoreCall::kCreateIfAbsent, [&] { return inner_.CreateIfAbsent(key, bytes); });
}

Result<std::string> ObservedStore::GetText(std::string_view key) {
  return Observe(StoreCall::kGetText, [&] { return inner_.GetText(key); });
}

Status ObservedStore::GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) {
  return Observe(StoreCall::kGetRange, [&] { return inner_.GetRange(key, offset, out); });
}

Result<ObjectInfo> ObservedStore::Stat(std::string_view key) {
  return Observe(StoreCall::kStat, [&] { return inner_.Stat(key); });
}

Result<ListPage> ObservedStore::List(std::string_view prefix, std::string_view start_after,
                                     int64_t limit) {
  return Observe(StoreCall::kList, [&] { return inner_.List(prefix, start_after, limit); });
}

Status ObservedStore::Delete(std::string_view key) {
  return Observe(StoreCall::kDelete, [&] { return inner_.Delete(key); });
}

}  // namespace thresher
