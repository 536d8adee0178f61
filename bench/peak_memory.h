#ifndef THRESHER_BENCH_PEAK_MEMORY_H_
#define THRESHER_BENCH_PEAK_MEMORY_H_

#include <sys/resource.h>

namespace thresher {

// The most memory that this process has held so far.
inline double PeakMegabytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e3;
}

}  // namespace thresher

#endif  // THRESHER_BENCH_PEAK_MEMORY_H_
