#include "store/notice_store.h"

#include <utility>

namespace thresher {

NoticeStore::NoticeStore(std::unique_ptr<Store> inner, int64_t silence_ms,
                         std::function<void(const std::string& line)> tell)
    : ForwardingStore(*inner),
      owned_(std::move(inner)),
      silence_(silence_ms),
      tell_(std::move(tell)),
      watcher_([this] { Watch(); }) {}

NoticeStore::~NoticeStore() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wake_up_.notify_all();
  watcher_.join();
}

void NoticeStore::Watch() {
  std::unique_lock lock(mutex_);
  while (!is_over_) {
    wake_up_.wait_for(lock, silence_ / 2, [this] { return is_over_; });
    if (is_over_ || told_ || pending_.empty()) continue;
    // Numbers rise with time: the first has waited longest.
    if (std::chrono::steady_clock::now() - pending_.begin()->second < silence_) continue;
    told_ = true;
    lock.unlock();
    tell_("waiting for an answer of " + inner_.url());
    lock.lock();
  }
}

template <typename Call>
auto NoticeStore::Watched(const Call& call) -> decltype(call()) {
  int64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = next_call_++;
    pending_[number] = std::chrono::steady_clock::now();
  }
  auto answer = call();
  const std::lock_guard lock(mutex_);
  pending_.erase(number);
  told_ = false;
  return answer;
}

CreateResult NoticeStore::CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) {
  return Watched([&] { return inner_.CreateIfAbsent(key, bytes); });
}

Result<std::string> NoticeStore::GetText(std::string_view key) {
  return Watched([&] { return inner_.GetText(key); });
}

Result<ObjectInfo> NoticeStore::Stat(std::string_view key) {
  return Watched([&] { return inner_.Stat(key); });
}

Result<ListPage> NoticeStore::List(std::string_view prefix, std::string_view start_after,
                                   int64_t limit) {
  return Watched([&] { return inner_.List(prefix, start_after, limit); });
}

Status NoticeStore::Delete(std::string_view key) {
  return Watched([&] { return inner_.Delete(key); });
}

std::unique_ptr<Store> WithNotices(std::unique_ptr<Store> store,
                                   std::function<void(const std::string& line)> tell) {
  constexpr int64_t kSilenceMs = 3'000;
  const std::string url = store->url();
  const bool is_near = url.starts_with("file:") || url.starts_with("memory:");
  if (is_near || !tell) return store;
  return std::make_unique<NoticeStore>(std::move(store), kSilenceMs, std::move(tell));
}

}  // namespace thresher
