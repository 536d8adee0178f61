#ifndef THRESHER_BASE_COLLECTED_LOG_FOR_TEST_H_
#define THRESHER_BASE_COLLECTED_LOG_FOR_TEST_H_

#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/logger.h"

namespace thresher {

// A logger that keeps what went wrong. Thread-safe.
class CollectedLog {
 public:
  const Logger& logger() const { return logger_; }

  // Messages of warnings and errors.
  std::vector<std::string> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
  const Logger logger_{Clock::Real(), LogLevel::kWarning, [this](const LogEvent& event) {
                         const std::lock_guard lock(mutex_);
                         messages_.push_back(event.message);
                       }};
};

}  // namespace thresher

#endif  // THRESHER_BASE_COLLECTED_LOG_FOR_TEST_H_
