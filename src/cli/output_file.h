#ifndef THRESHER_CLI_OUTPUT_FILE_H_
#define THRESHER_CLI_OUTPUT_FILE_H_

#include <string>
#include <string_view>

#include "base/result.h"
#include "store/posix_file.h"

namespace thresher {

// A local file that a command writes: it appears under its name when it is whole, in place of one
// that was there. "-" is the standard output; that, and a name of something that is no regular file
// (a pipe, /dev/null), is written as it comes. Errors name the path. Not thread-safe.
class OutputFile {
 public:
  static Result<OutputFile> Create(const std::string& path);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  // Without Commit, nothing is left of it.
  ~OutputFile();

  Status Write(std::string_view bytes);

  // Waits until it is on the disk and gives it its name; `durable` false leaves the waiting to the
  // caller (SyncFileSystem, for many files). Call once, last.
  Status Commit(bool durable = true);

 private:
  OutputFile(std::string path, std::string temporary_path, FileDescriptor file);
  Status Flush();

  std::string path_;
  std::string temporary_path_;  // empty: written as it comes
  FileDescriptor file_;
  std::string buffer_;
};

// Waits until everything written to the file system of this folder is on the disk.
Status SyncFileSystem(const std::string& folder);

}  // namespace thresher

#endif  // THRESHER_CLI_OUTPUT_FILE_H_
