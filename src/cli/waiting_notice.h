#ifndef THRESHER_CLI_WAITING_NOTICE_H_
#define THRESHER_CLI_WAITING_NOTICE_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace thresher {

// While it lives: says on the standard error stream what the program waits for, after three seconds
// and then every half minute.
class WaitingNotice {
 public:
  // `what`: "gs://bucket/run7".
  explicit WaitingNotice(std::string what);
  WaitingNotice(const WaitingNotice&) = delete;
  WaitingNotice& operator=(const WaitingNotice&) = delete;
  ~WaitingNotice();

 private:
  void Watch();

  const std::string what_;
  std::mutex mutex_;
  std::condition_variable wake_up_;
  bool is_over_ = false;
  std::thread watcher_;
};

}  // namespace thresher

#endif  // THRESHER_CLI_WAITING_NOTICE_H_
