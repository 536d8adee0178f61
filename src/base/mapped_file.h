#ifndef THRESHER_BASE_MAPPED_FILE_H_
#define THRESHER_BASE_MAPPED_FILE_H_

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace thresher {

// A file's bytes, mapped read-only. The mapping lives as long as this object; a file that is cut
// short by somebody else while it is mapped ends the process (SIGBUS), as with every mapping.
class MappedFile {
 public:
  // Errors name the path. An empty file gives an empty span.
  static Result<MappedFile> Open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

  // Takes the file's pages out of this process's memory; they come back when they are read again.
  void DropPages() const;

  const std::string& path() const { return path_; }

 private:
  MappedFile() = default;

  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace thresher

#endif  // THRESHER_BASE_MAPPED_FILE_H_
