#ifndef THRESHER_ENGINE_CPU_PARALLEL_H_
#define THRESHER_ENGINE_CPU_PARALLEL_H_

#include <cstdint>
#include <functional>

#include "base/result.h"

namespace thresher {

// The number of cores that this process may use (its affinity mask).
int UsableCores();

// While it lives, oneDNN primitives that the calling thread creates or executes use one thread. The
// engine parallelises over rows and attention blocks by itself, so every primitive must be created
// under this scope; ParallelFor provides it for its tasks.
class SingleThreadScope {
 public:
  SingleThreadScope();
  SingleThreadScope(const SingleThreadScope&) = delete;
  SingleThreadScope& operator=(const SingleThreadScope&) = delete;
  ~SingleThreadScope();

 private:
  int saved_threads_;
};

// Calls task(index, thread) for every index in [0, count), on at most `threads` threads; thread is
// in [0, threads). The order is free, so a task's result must not depend on it. An exception in a
// task becomes a Status (the first one wins; tasks that have not begun are skipped).
Status ParallelFor(int threads, int64_t count,
                   const std::function<void(int64_t index, int thread)>& task);

// Calls body() and turns an exception of oneDNN or of memory allocation into a Status.
Status CatchExceptions(const std::function<void()>& body);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_PARALLEL_H_
