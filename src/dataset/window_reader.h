#ifndef THRESHER_DATASET_WINDOW_READER_H_
#define THRESHER_DATASET_WINDOW_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "dataset/byte_source.h"

namespace thresher {

// What part of a file to read, and in what steps.
struct ReadRange {
  int64_t begin = 0;
  int64_t end = 0;         // what is wanted ends here ...
  int64_t limit = 0;       // ... but its last text may go on up to here: the file's end or `end`
  int64_t step_bytes = 0;  // read at once, up to `end`
};

// Reads a range of a file front to back through a window that the caller moves and widens. Not
// thread-safe.
class WindowReader {
 public:
  // `source` is borrowed.
  WindowReader(const ByteSource& source, const ReadRange& range)
      : source_(source), range_(range), window_begin_(range.begin) {}

  // The bytes of the window from `offset` on, which may be none. `offset` must not lie before that
  // of an earlier call of Widen. Valid until the next call of Widen.
  std::string_view From(int64_t offset) const;

  // Forgets what lies before `offset` and reads more. False at the range's limit or on an error.
  bool Widen(int64_t offset);

  const Status& status() const { return status_; }

 private:
  void Reserve(size_t bytes);

  const ByteSource& source_;
  const ReadRange range_;
  Status status_;
  std::unique_ptr<char[]> buffer_;  // not a vector: nothing needs to be zero
  size_t capacity_ = 0;
  int64_t window_begin_;
  size_t window_bytes_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_WINDOW_READER_H_
