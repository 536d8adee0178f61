#include "small_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

namespace thresher {

SmallDisk::SmallDisk(int64_t bytes) {
  const std::string options = fmt::format("size={}", bytes);
  if (mount("thresher-test", path().c_str(), "tmpfs", 0, options.c_str()) != 0) {
    why_not_ = fmt::format("a file system cannot be mounted here: {}", std::strerror(errno));
  }
}

SmallDisk::~SmallDisk() {
  // Lazily: a server that was killed a moment ago may still be on it.
  if (why_not_.empty()) umount2(path().c_str(), MNT_DETACH);
}

void SmallDisk::Fill() {
  const int fd = open(Ballast().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const std::vector<char> zeros(size_t{1} << 20);
  size_t bytes = zeros.size();
  while (bytes > 0) {
    const ssize_t written = write(fd, zeros.data(), bytes);
    if (written <= 0) bytes /= 2;  // not so much any more
  }
  close(fd);
}

void SmallDisk::Free() {
  std::error_code ignored;
  std::filesystem::remove(Ballast(), ignored);
}

}  // namespace thresher
