#include "extract/retry.h"

#include "base/check.h"

namespace thresher {

Status WithRetries(Clock& clock, const RetryPolicy& policy, const std::function<Status()>& call) {
  THRESHER_CHECK(policy.attempts >= 1);
  int64_t pause_ms = policy.first_pause_ms;
  for (int64_t attempt = 1;; ++attempt) {
    Status status = call();
    if (status.code() != Code::kUnavailable || attempt == policy.attempts) return status;
    clock.SleepMs(pause_ms);
    pause_ms *= policy.pause_factor;
  }
}

}  // namespace thresher
