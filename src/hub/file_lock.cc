#include "hub/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace thresher {
namespace {

// False if somebody removed the file, or put another one in its place, before it was locked.
bool IsStillAt(const FileDescriptor& file, const std::string& path) {
  struct stat open_file = {};
  struct stat named_file = {};
  return fstat(file.number(), &open_file) == 0 && stat(path.c_str(), &named_file) == 0 &&
         open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

Status LockError(int error_number, const std::string& path) {
  Status status = FileError(error_number, "lock", path);
  if (error_number != ENOLCK && error_number != ENOTSUP && error_number != ENOSYS) return status;
  return Status(status.code(), status.message() +
                                   "; this file system has no locks: set HF_HUB_CACHE to a folder "
                                   "on another one");
}

}  // namespace

Result<FileLock> FileLock::Acquire(const std::string& path, const std::function<void()>& on_wait) {
  bool has_waited = false;
  while (true) {
    // Writable by the group, as filelock makes it: several users may share a cache.
    FileDescriptor file = OpenFile(path, O_RDWR | O_CREAT, 0664);
    if (!file.valid()) return FileError(errno, "open lock", path);
    int outcome = flock(file.number(), LOCK_EX | LOCK_NB);
    if (outcome != 0 && errno == EWOULDBLOCK) {
      if (!has_waited) on_wait();
      has_waited = true;
      do {
        outcome = flock(file.number(), LOCK_EX);
      } while (outcome != 0 && errno == EINTR);
    }
    if (outcome != 0) return LockError(errno, path);
    if (IsStillAt(file, path)) return FileLock(std::move(file));
  }
}

}  // namespace thresher
