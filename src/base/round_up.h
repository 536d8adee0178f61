#ifndef THRESHER_BASE_ROUND_UP_H_
#define THRESHER_BASE_ROUND_UP_H_

#include <cstdint>

namespace thresher {

// The smallest multiple of `multiple` that is not below `value`; neither is negative.
inline int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace thresher

#endif  // THRESHER_BASE_ROUND_UP_H_
