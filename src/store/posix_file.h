#ifndef THRESHER_STORE_POSIX_FILE_H_
#define THRESHER_STORE_POSIX_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"

namespace thresher {

// An open file's number; closes it. Invalid (-1) after a failed open.
class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  bool valid() const { return number_ >= 0; }
  int number() const { return number_; }

  // Closes now, so that the error is seen: some network file systems report failed writes only
  // here. errno is set if false.
  bool Close();

 private:
  int number_;
};

// open(2), tried again when interrupted; with O_CLOEXEC. errno is set if the result is invalid.
FileDescriptor OpenFile(const std::string& path, int flags, unsigned mode = 0);

// The Status of a failed system call: the code that fits errno, and "OPERATION "PATH": TEXT".
Status FileError(int error_number, const char* operation, const std::string& path);

// Writes all of `bytes` at the file's beginning and waits until they are on the disk. `path` is for
// messages.
Status WriteAndSync(const FileDescriptor& file, const std::string& path,
                    std::span<const std::byte> bytes);

// Fills `out` from `offset` on; the number of bytes is smaller than out.size() only where the file
// ends.
Result<size_t> ReadAt(const FileDescriptor& file, const std::string& path, int64_t offset,
                      std::span<std::byte> out);

// Makes the names in the folder durable: those created, renamed or deleted before.
Status SyncFolder(const std::string& path);

}  // namespace thresher

#endif  // THRESHER_STORE_POSIX_FILE_H_
