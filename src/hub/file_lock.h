#ifndef THRESHER_HUB_FILE_LOCK_H_
#define THRESHER_HUB_FILE_LOCK_H_

#include <functional>
#include <string>
#include <utility>

#include "base/result.h"
#include "store/posix_file.h"

namespace thresher {

// An exclusive lock among threads and processes on this machine, as Python's filelock takes it:
// flock(2) on a file of its own. Released with this object, and by the system when the process
// dies. The file stays: removing it would let two owners in.
class FileLock {
 public:
  // Waits until nobody else has it; calls `on_wait` once before waiting. Creates the file; its
  // folder must exist.
  static Result<FileLock> Acquire(const std::string& path, const std::function<void()>& on_wait);

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}

  FileDescriptor file_;
};

}  // namespace thresher

#endif  // THRESHER_HUB_FILE_LOCK_H_
