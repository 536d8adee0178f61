#ifndef THRESHER_BASE_PEAK_MEMORY_H_
#define THRESHER_BASE_PEAK_MEMORY_H_

#include <sys/resource.h>

#include <cstdint>

namespace thresher {

// The most memory that this process has held so far.
inline int64_t PeakMemoryBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  constexpr int64_t kUnit = 1024;
  return kUnit * usage.ru_maxrss;
}

}  // namespace thresher

#endif  // THRESHER_BASE_PEAK_MEMORY_H_
