#ifndef THRESHER_DATASET_DECOMPRESSOR_H_
#define THRESHER_DATASET_DECOMPRESSOR_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "base/result.h"
#include "dataset/file_format.h"

namespace thresher {

// Unpacks gzip (any number of members) or zstd (any number of frames) that comes in pieces. Not
// thread-safe.
class Decompressor {
 public:
  using Sink = std::function<Status(std::span<const std::byte>)>;

  static std::unique_ptr<Decompressor> New(Compression compression);
  virtual ~Decompressor() = default;

  // Gives what `packed` makes to `sink`, in pieces of bounded size. kDataLoss where the bytes are
  // damaged; the sink's errors.
  virtual Status Add(std::span<const std::byte> packed, const Sink& sink) = 0;

  // kDataLoss if the bytes were cut off.
  virtual Status Finish() = 0;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_DECOMPRESSOR_H_
