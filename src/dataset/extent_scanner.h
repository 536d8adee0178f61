#ifndef THRESHER_DATASET_EXTENT_SCANNER_H_
#define THRESHER_DATASET_EXTENT_SCANNER_H_

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "dataset/record_scanner.h"
#include "dataset/window_reader.h"

namespace thresher {

inline constexpr std::string_view kBlanks = " \t\r";

inline bool IsBlank(std::string_view text) {
  // Most texts show in their first byte that they are not.
  return text.empty() || (static_cast<unsigned char>(text[0]) <= ' ' &&
                          text.find_first_not_of(kBlanks) == text.npos);
}

// What the scanners of JSON share: texts of any length, of which only the short ones are kept.
class ExtentScanner : public RecordScanner {
 protected:
  ExtentScanner(const ByteSource& source, const ScanRange& range)
      : range_(range),
        reader_(source, {.begin = range.begin,
                         .end = range.end,
                         .limit = range.limit,
                         .step_bytes = range.step_bytes}),
        position_(range.begin) {}

  struct Extent {
    int64_t end = 0;      // in the file
    bool has_end = true;  // false: the range's limit came first
    bool is_blank = false;
    int64_t bytes = 0;  // without a carriage return at the end, as all that follows
    RecordHash hash;
    std::string_view text;
  };

  // The text from `begin` to where find_end(piece), called with its consecutive pieces, finds its
  // end (an index into the piece, or npos). False on an error.
  template <typename FindEnd>
  bool Take(int64_t begin, const FindEnd& find_end, Extent& extent);

  // Passes over the byte order mark; false on an error.
  bool PassByteOrderMark();

  // The window at position_ has at least one byte; false at the limit or on an error.
  bool HasMore() { return !reader_.From(position_).empty() || Widen(position_); }

  // Reads on, keeping what lies behind `offset`; false at the limit or on an error.
  bool Widen(int64_t offset) {
    if (reader_.Widen(offset)) return true;
    if (!reader_.status().ok()) status_ = reader_.status();
    return false;
  }

  const ScanRange range_;
  WindowReader reader_;
  int64_t position_;

 private:
  template <typename FindEnd>
  bool TakeLong(int64_t begin, size_t searched, const FindEnd& find_end, Extent& extent);

  RecordHasher hasher_;
};

inline bool ExtentScanner::PassByteOrderMark() {
  if (position_ != 0) return true;
  while (reader_.From(0).size() < kByteOrderMark.size()) {
    if (!Widen(0)) break;
  }
  if (!status_.ok()) return false;
  if (reader_.From(0).starts_with(kByteOrderMark)) {
    position_ = static_cast<int64_t>(kByteOrderMark.size());
  }
  return true;
}

template <typename FindEnd>
bool ExtentScanner::Take(int64_t begin, const FindEnd& find_end, Extent& extent) {
  size_t searched = 0;
  size_t end = std::string_view::npos;
  extent.has_end = true;
  while (true) {
    const std::string_view window = reader_.From(begin);
    const size_t found = find_end(window.substr(searched));
    if (found != window.npos) {
      end = searched + found;
      break;
    }
    searched = window.size();
    // One more, for a carriage return that does not count.
    if (static_cast<int64_t>(searched) > range_.text_limit_bytes + 1) {
      return TakeLong(begin, searched, find_end, extent);
    }
    if (!Widen(begin)) {
      if (!status_.ok()) return false;
      extent.has_end = false;
      end = searched;
      break;
    }
  }
  std::string_view text = reader_.From(begin).substr(0, end);
  extent.end = begin + static_cast<int64_t>(end);
  extent.is_blank = IsBlank(text);
  if (text.ends_with('\r')) text.remove_suffix(1);
  extent.bytes = static_cast<int64_t>(text.size());
  extent.hash = HashOf(text);
  extent.text = extent.bytes <= range_.text_limit_bytes ? text : std::string_view();
  return true;
}

template <typename FindEnd>
bool ExtentScanner::TakeLong(int64_t begin, size_t searched, const FindEnd& find_end,
                             Extent& extent) {
  hasher_.Reset();
  extent.is_blank = true;
  extent.bytes = 0;
  bool held_back = false;  // a carriage return that may be the last byte
  const auto add = [&](std::string_view piece) {
    if (piece.empty()) return;
    extent.is_blank = extent.is_blank && IsBlank(piece);
    if (held_back) hasher_.Add("\r");
    extent.bytes += held_back ? 1 : 0;
    held_back = piece.ends_with('\r');
    if (held_back) piece.remove_suffix(1);
    hasher_.Add(piece);
    extent.bytes += static_cast<int64_t>(piece.size());
  };
  int64_t at = begin;
  size_t end = std::string_view::npos;
  add(reader_.From(at).substr(0, searched));
  at += static_cast<int64_t>(searched);
  while (true) {
    if (!Widen(at)) {
      extent.has_end = false;
      break;
    }
    const std::string_view window = reader_.From(at);
    end = find_end(window);
    add(window.substr(0, end));
    at += static_cast<int64_t>(std::min(end, window.size()));
    if (end != window.npos) break;
  }
  extent.end = at;
  extent.hash = hasher_.Finish();
  extent.text = {};
  return status_.ok();
}

}  // namespace thresher

#endif  // THRESHER_DATASET_EXTENT_SCANNER_H_
