#ifndef THRESHER_ENGINE_PJRT_EXECUTABLE_CACHE_H_
#define THRESHER_ENGINE_PJRT_EXECUTABLE_CACHE_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/pjrt/pjrt_client.h"

namespace thresher {

// Compiles programs, and keeps what was compiled in a folder, so that the next process on such a
// machine need not: a file is found again by the fingerprint of the program, the options, the
// plug-in's library, the kind of device, and, where code runs on the processor, its features.
// Whatever is wrong with a file, or with the folder, costs a compilation and nothing else.
// Thread-safe; any number of processes may share a folder.
class ExecutableCache {
 public:
  // `folder`: made when something is kept; empty: nothing is.
  ExecutableCache(const PjrtClient& client, std::string folder)
      : client_(client), folder_(std::move(folder)) {}

  Result<PjrtExecutable> Get(std::string_view module, const CompileOptions& options);

  int64_t compiled_count() const { return compiled_; }
  int64_t found_count() const { return found_; }

 private:
  std::string PathOf(std::string_view module, const CompileOptions& options) const;

  const PjrtClient& client_;
  const std::string folder_;
  std::atomic<int64_t> compiled_{0};
  std::atomic<int64_t> found_{0};
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_EXECUTABLE_CACHE_H_
