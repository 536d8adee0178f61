#include "dataset/window_reader.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

// Behind the range's end little is wanted: the rest of one text.
constexpr int64_t kStepBytesBehindEnd = int64_t{256} << 10;

}  // namespace

std::string_view WindowReader::From(int64_t offset) const {
  THRESHER_CHECK(offset >= window_begin_);
  const auto skipped = static_cast<size_t>(offset - window_begin_);
  if (skipped >= window_bytes_) return {};
  return {buffer_.get() + skipped, window_bytes_ - skipped};
}

void WindowReader::Reserve(size_t bytes) {
  if (bytes <= capacity_) return;
  const size_t capacity = std::max(bytes, 2 * capacity_);
  std::unique_ptr<char[]> buffer(new char[capacity]);
  if (window_bytes_ > 0) std::memcpy(buffer.get(), buffer_.get(), window_bytes_);
  buffer_ = std::move(buffer);
  capacity_ = capacity;
}

bool WindowReader::Widen(int64_t offset) {
  if (!status_.ok()) return false;
  const std::string_view kept = From(offset);
  // Only after what is kept was read, or right at its end, is there anything to read.
  const int64_t read_from =
      kept.empty() ? offset : window_begin_ + static_cast<int64_t>(window_bytes_);
  const int64_t left = range_.end - read_from;
  const int64_t step = left > 0 ? std::min(range_.step_bytes, left)
                                : std::min(kStepBytesBehindEnd, range_.limit - read_from);
  if (step <= 0) return false;
  if (!kept.empty()) std::memmove(buffer_.get(), kept.data(), kept.size());
  window_begin_ = offset;
  window_bytes_ = kept.size();
  Reserve(window_bytes_ + static_cast<size_t>(step));
  const std::span<char> to(buffer_.get() + window_bytes_, static_cast<size_t>(step));
  status_ = source_.Read(read_from, std::as_writable_bytes(to));
  if (!status_.ok()) return false;
  window_bytes_ += static_cast<size_t>(step);
  return true;
}

}  // namespace thresher
