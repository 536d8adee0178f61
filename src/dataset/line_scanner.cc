#include "dataset/line_scanner.h"

#include <utility>

namespace thresher {

bool LineScanner::FindFirstLine() {
  // The range begins one byte early: a line may begin right at its beginning.
  while (position_ < range_.end - 1) {
    if (!HasMore()) return false;
    const std::string_view window = reader_.From(position_);
    const size_t end = window.find('\n');
    if (end != window.npos) {
      position_ += static_cast<int64_t>(end) + 1;
      return position_ < range_.end;
    }
    position_ += static_cast<int64_t>(window.size());
  }
  return false;
}

bool LineScanner::Begin() {
  has_begun_ = true;
  if (range_.begins_at_record) {
    if (!PassByteOrderMark()) return false;
    is_behind_mark_ = position_ > range_.begin;
    return true;
  }
  if (FindFirstLine()) return true;
  position_ = range_.end;
  return status_.ok();
}

bool LineScanner::BeginsInRange() {
  // The first line begins with the byte order mark, wherever the range ends.
  return std::exchange(is_behind_mark_, false) || position_ < range_.end;
}

bool LineScanner::Next(ScannedRecord& record) {
  if (!has_begun_ && !Begin()) return false;
  const auto find_line_end = [](std::string_view piece) { return piece.find('\n'); };
  while (status_.ok() && BeginsInRange() && HasMore()) {
    const int64_t begin = position_;
    Extent extent;
    if (!Take(begin, find_line_end, extent)) return false;
    position_ = extent.end + (extent.has_end ? 1 : 0);
    ++line_;
    if (extent.is_blank) continue;
    record = {.begin = begin,
              .end = position_,
              .line = line_ - 1,
              .bytes = extent.bytes,
              .hash = extent.hash,
              .text = extent.text};
    return true;
  }
  return false;
}

}  // namespace thresher
