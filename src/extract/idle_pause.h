#ifndef THRESHER_EXTRACT_IDLE_PAUSE_H_
#define THRESHER_EXTRACT_IDLE_PAUSE_H_

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/random.h"

namespace thresher {

// Pauses of a worker that waits for others: each twice as long as the one before, up to a longest,
// and varied by a quarter, so that many of them neither ask much nor all at once. A session always
// makes the same pauses. Not thread-safe.
class IdlePause {
 public:
  IdlePause(int64_t first_ms, int64_t longest_ms, std::string_view session)
      : first_ms_(std::max<int64_t>(1, first_ms)),
        longest_ms_(std::max(first_ms_, longest_ms)),
        next_ms_(first_ms_),
        random_(SeedOf(session)) {}

  int64_t NextMs() {
    const auto pause_ms = static_cast<double>(next_ms_) * (0.75 + 0.5 * random_.Uniform());
    next_ms_ = std::min(2 * next_ms_, longest_ms_);
    return std::max<int64_t>(1, static_cast<int64_t>(pause_ms));
  }

  // There was something to do: the next pause is a short one.
  void Reset() { next_ms_ = first_ms_; }

 private:
  int64_t first_ms_;
  int64_t longest_ms_;
  int64_t next_ms_;
  Random random_;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_IDLE_PAUSE_H_
