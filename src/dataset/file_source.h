#ifndef THRESHER_DATASET_FILE_SOURCE_H_
#define THRESHER_DATASET_FILE_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "dataset/byte_source.h"

namespace thresher {

// A local file, opened anew for every read: any number of files can be at hand, and none is mapped,
// so that one which somebody cuts short is an error and never ends the process (SIGBUS).
class FileSource : public ByteSource {
 public:
  // `name` is what messages call the file; empty: its path. kInvalidArgument for what is not a
  // regular file.
  static Result<std::shared_ptr<const FileSource>> Open(const std::string& path,
                                                        std::string name = {});

  const std::string& name() const override { return name_; }
  // As it was when it was opened.
  int64_t bytes() const override { return bytes_; }
  Status Read(int64_t offset, std::span<std::byte> to) const override;

 private:
  FileSource(std::string path, std::string name, int64_t bytes)
      : path_(std::move(path)), name_(std::move(name)), bytes_(bytes) {}

  const std::string path_;
  const std::string name_;
  const int64_t bytes_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_FILE_SOURCE_H_
