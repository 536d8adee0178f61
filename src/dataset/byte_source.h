#ifndef THRESHER_DATASET_BYTE_SOURCE_H_
#define THRESHER_DATASET_BYTE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/mapped_file.h"
#include "base/result.h"

namespace thresher {

// Random access to the bytes of one file. Thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource();

  // Path or URL, for messages.
  virtual const std::string& name() const = 0;
  virtual int64_t bytes() const = 0;

  // Exactly to.size() bytes from `offset` on. kDataLoss if the file ends before; errors name the
  // file.
  virtual Status Read(int64_t offset, std::span<std::byte> to) const = 0;

  // The whole file if it lies in memory, for as long as this object lives; else nothing.
  virtual std::optional<std::span<const std::byte>> Mapped() const { return std::nullopt; }
};

// A local file, mapped.
class MappedSource : public ByteSource {
 public:
  explicit MappedSource(MappedFile file) : file_(std::move(file)) {}

  const std::string& name() const override { return file_.path(); }
  int64_t bytes() const override { return static_cast<int64_t>(file_.bytes().size()); }
  Status Read(int64_t offset, std::span<std::byte> to) const override;
  std::optional<std::span<const std::byte>> Mapped() const override { return file_.bytes(); }

 private:
  MappedFile file_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_BYTE_SOURCE_H_
