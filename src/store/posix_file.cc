#include "store/posix_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace thresher {
namespace {

// One write(2) may not be longer than 2 GiB; pieces of this size also let the disk begin early.
constexpr size_t kPieceBytes = size_t{8} << 20;

// Calls a system call until it is not interrupted by a signal.
template <typename Call>
auto RetryInterrupted(const Call& call) -> decltype(call()) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// Sets disk space aside, so that a full disk is found before the bytes are written. Where the file
// system cannot do that, writing will find out.
Status Reserve(const FileDescriptor& file, const std::string& path, int64_t bytes) {
  if (RetryInterrupted([&] { return fallocate(file.number(), 0, 0, bytes); }) == 0) {
    return OkStatus();
  }
  const bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  return is_full ? FileError(errno, "reserve space for", path) : OkStatus();
}

}  // namespace

FileDescriptor::~FileDescriptor() { (void)Close(); }

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  (void)Close();
  number_ = std::exchange(other.number_, -1);
  return *this;
}

bool FileDescriptor::Close() {
  if (!valid()) return true;
  // On Linux the number is free again even if close() was interrupted.
  return close(std::exchange(number_, -1)) == 0 || errno == EINTR;
}

FileDescriptor OpenFile(const std::string& path, int flags, unsigned mode) {
  return FileDescriptor(
      RetryInterrupted([&] { return open(path.c_str(), flags | O_CLOEXEC, mode); }));
}

Status FileError(int error_number, const char* operation, const std::string& path) {
  return ErrnoStatus(error_number, fmt::format("{} \"{}\"", operation, path));
}

Status WriteAndSync(const FileDescriptor& file, const std::string& path,
                    std::span<const std::byte> bytes) {
  if (bytes.size() > kPieceBytes) {
    RETURN_IF_ERROR(Reserve(file, path, static_cast<int64_t>(bytes.size())));
  }
  size_t written = 0;
  while (written < bytes.size()) {
    const std::span<const std::byte> piece =
        bytes.subspan(written, std::min(kPieceBytes, bytes.size() - written));
    const ssize_t count =
        RetryInterrupted([&] { return write(file.number(), piece.data(), piece.size()); });
    if (count < 0) return FileError(errno, "write", path);
    // Lets the disk begin while the next piece is copied. Only a hint: fsync reports every error.
    (void)sync_file_range(file.number(), static_cast<off_t>(written), count, SYNC_FILE_RANGE_WRITE);
    written += static_cast<size_t>(count);
  }
  if (RetryInterrupted([&] { return fsync(file.number()); }) != 0) {
    return FileError(errno, "fsync", path);
  }
  return OkStatus();
}

Result<size_t> ReadAt(const FileDescriptor& file, const std::string& path, int64_t offset,
                      std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    const off_t position = static_cast<off_t>(offset) + static_cast<off_t>(done);
    const ssize_t count = RetryInterrupted(
        [&] { return pread(file.number(), out.data() + done, out.size() - done, position); });
    if (count < 0) return FileError(errno, "read", path);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

Status SyncFolder(const std::string& path) {
  const FileDescriptor folder = OpenFile(path, O_RDONLY | O_DIRECTORY);
  if (!folder.valid()) return FileError(errno, "open folder", path);
  if (RetryInterrupted([&] { return fsync(folder.number()); }) == 0) return OkStatus();
  // Some network file systems have no fsync for folders; their servers write names at once.
  if (errno == EINVAL || errno == ENOTSUP) return OkStatus();
  return FileError(errno, "fsync folder", path);
}

}  // namespace thresher
