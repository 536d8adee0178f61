#ifndef THRESHER_STORE_NOTICE_STORE_H_
#define THRESHER_STORE_NOTICE_STORE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "store/forwarding_store.h"
#include "store/store.h"

namespace thresher {

// Passes every call on, and tells when the store has not answered a small call for `silence_ms`:
// calls are tried again for minutes, and whoever watches should know what is being waited for. Told
// once for each silence. Put and GetRange may rightly take long and are not watched. Thread-safe.
class NoticeStore : public ForwardingStore {
 public:
  // `tell` is called on a thread of its own.
  NoticeStore(std::unique_ptr<Store> inner, int64_t silence_ms,
              std::function<void(const std::string& line)> tell);
  NoticeStore(const NoticeStore&) = delete;
  NoticeStore& operator=(const NoticeStore&) = delete;
  ~NoticeStore() override;

  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override;
  Result<std::string> GetText(std::string_view key) override;
  Result<ObjectInfo> Stat(std::string_view key) override;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override;
  Status Delete(std::string_view key) override;

 private:
  using Time = std::chrono::steady_clock::time_point;

  template <typename Call>
  auto Watched(const Call& call) -> decltype(call());
  void Watch();

  const std::unique_ptr<Store> owned_;
  const std::chrono::milliseconds silence_;
  const std::function<void(const std::string& line)> tell_;
  std::mutex mutex_;
  std::condition_variable wake_up_;
  std::map<int64_t, Time> pending_;  // guarded by mutex_: calls by number, and when they began
  int64_t next_call_ = 0;            // guarded by mutex_
  bool told_ = false;                // guarded by mutex_: of the silence that lasts
  bool is_over_ = false;             // guarded by mutex_
  std::thread watcher_;              // last: it uses the rest
};

// `store` with notices, if it is one of a cloud and `tell` is given; else as it is.
std::unique_ptr<Store> WithNotices(std::unique_ptr<Store> store,
                                   std::function<void(const std::string& line)> tell);

}  // namespace thresher

#endif  // THRESHER_STORE_NOTICE_STORE_H_
