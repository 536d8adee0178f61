#ifndef THRESHER_BASE_CLOCK_H_
#define THRESHER_BASE_CLOCK_H_

#include <cstdint>

namespace thresher {

// Time as the program sees it. Everything above base/ takes a Clock, so that tests and the
// simulator decide what time it is. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Microseconds since some fixed moment; never goes back. For durations and deadlines.
  virtual int64_t MonotonicUs() const = 0;
  int64_t MonotonicMs() const { return MonotonicUs() / 1000; }

  // Milliseconds since 1970-01-01 UTC. For people's eyes only: no decision rests on it.
  virtual int64_t UnixMs() const = 0;

  // Returns after `duration_ms`.
  virtual void SleepMs(int64_t duration_ms) = 0;

  // The machine's clock; lives for ever.
  static Clock& Real();
};

}  // namespace thresher

#endif  // THRESHER_BASE_CLOCK_H_
