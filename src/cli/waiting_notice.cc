#include "cli/waiting_notice.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include "base/byte_size.h"

namespace thresher {

WaitingNotice::WaitingNotice(std::string what)
    : what_(std::move(what)), watcher_([this] { Watch(); }) {}

WaitingNotice::~WaitingNotice() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wake_up_.notify_all();
  watcher_.join();
}

void WaitingNotice::Watch() {
  constexpr int64_t kFirstMs = 3'000;
  constexpr int64_t kAgainMs = 30'000;
  int64_t waited_ms = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    const int64_t pause_ms = waited_ms == 0 ? kFirstMs : kAgainMs;
    if (wake_up_.wait_for(lock, std::chrono::milliseconds(pause_ms), [&] { return is_over_; })) {
      return;
    }
    waited_ms += pause_ms;
    std::fprintf(stderr,
                 "thresher: %s has not answered everything for %s: it is slow or down; requests "
                 "are repeated for up to --retry-budget\n",
                 what_.c_str(), FormatDuration(waited_ms).c_str());
  }
}

}  // namespace thresher
