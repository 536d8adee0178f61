#ifndef THRESHER_SAMPLE_BYTE_RANGE_H_
#define THRESHER_SAMPLE_BYTE_RANGE_H_

#include <cstdint>

namespace thresher {

// Bytes [begin, end) of a text.
struct ByteRange {
  int64_t begin = 0;
  int64_t end = 0;

  bool operator==(const ByteRange&) const = default;
};

}  // namespace thresher

#endif  // THRESHER_SAMPLE_BYTE_RANGE_H_
