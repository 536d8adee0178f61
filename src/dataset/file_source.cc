#include "dataset/file_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "store/posix_file.h"

namespace thresher {
namespace {

// O_NONBLOCK: opening a named pipe must not wait for somebody to write to it.
FileDescriptor OpenToRead(const std::string& path) { return OpenFile(path, O_RDONLY | O_NONBLOCK); }

}  // namespace

Result<std::shared_ptr<const FileSource>> FileSource::Open(const std::string& path,
                                                           std::string name) {
  if (name.empty()) name = path;
  const FileDescriptor file = OpenToRead(path);
  if (!file.valid()) return ErrnoStatus(errno, name);
  struct stat info {};
  if (fstat(file.number(), &info) != 0) return ErrnoStatus(errno, name);
  if (!S_ISREG(info.st_mode)) return InvalidArgument(name + " is not a regular file");
  return std::shared_ptr<const FileSource>(
      new FileSource(path, std::move(name), static_cast<int64_t>(info.st_size)));
}

Status FileSource::Read(int64_t offset, std::span<std::byte> to) const {
  THRESHER_CHECK(offset >= 0);
  const FileDescriptor file = OpenToRead(path_);
  if (!file.valid()) return ErrnoStatus(errno, name_);
  ASSIGN_OR_RETURN(const size_t read, ReadAt(file, path_, offset, to));
  if (read == to.size()) return OkStatus();
  return DataLoss(fmt::format("{}: {} bytes at byte {} are wanted, but the file ends at byte {}",
                              name_, to.size(), offset, offset + static_cast<int64_t>(read)));
}

}  // namespace thresher
