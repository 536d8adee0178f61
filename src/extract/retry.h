#ifndef THRESHER_EXTRACT_RETRY_H_
#define THRESHER_EXTRACT_RETRY_H_

#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/result.h"

namespace thresher {

// How often a store call that may succeed when tried again is tried again. Drivers of cloud stores
// already try single requests again; this is for what is left when they have given up.
struct RetryPolicy {
  int64_t attempts = 5;
  int64_t first_pause_ms = 200;
  int64_t pause_factor = 3;  // each pause is so many times the one before
};

// Calls until the status is anything but kUnavailable, or until the attempts are used up; the last
// status. Sleeps on `clock` between attempts.
Status WithRetries(Clock& clock, const RetryPolicy& policy, const std::function<Status()>& call);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_RETRY_H_
