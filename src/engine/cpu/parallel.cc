#include "engine/cpu/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <dnnl.hpp>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <thread>

namespace thresher {

int UsableCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return std::max(1, CPU_COUNT(&cores));
  // The mask does not fit: more than 1024 cores.
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

SingleThreadScope::SingleThreadScope() : saved_threads_(omp_get_max_threads()) {
  omp_set_num_threads(1);
}

SingleThreadScope::~SingleThreadScope() { omp_set_num_threads(saved_threads_); }

Status CatchExceptions(const std::function<void()>& body) {
  try {
    body();
    return OkStatus();
  } catch (const std::bad_alloc&) {
    return ResourceExhausted("the engine is out of memory");
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) {
      return ResourceExhausted("the engine is out of memory (oneDNN)");
    }
    if (error.status == dnnl_unimplemented) {
      return InvalidArgument(std::string("oneDNN cannot do this on this processor: ") +
                             error.what());
    }
    return Internal(std::string("oneDNN: ") + error.what());
  } catch (const std::exception& error) {
    return Internal(std::string("engine: ") + error.what());
  }
}

Status ParallelFor(int threads, int64_t count,
                   const std::function<void(int64_t index, int thread)>& task) {
  std::atomic<int64_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  Status first_error;
  const int used = static_cast<int>(std::clamp<int64_t>(count, 1, threads));
#pragma omp parallel num_threads(used)
  {
    const SingleThreadScope single_thread;
    const int thread = omp_get_thread_num();
    for (int64_t index = next++; index < count && !failed; index = next++) {
      Status status = CatchExceptions([&] { task(index, thread); });
      if (status.ok()) continue;
      const std::lock_guard lock(mutex);
      if (!failed) first_error = std::move(status);
      failed = true;
    }
  }
  return first_error;
}

}  // namespace thresher
