#include "dataset/json_value_scanner.h"

#include <fmt/format.h>

#include "base/json.h"

namespace thresher {

size_t JsonValueScanner::ObjectEnd::operator()(std::string_view piece) {
  for (size_t i = 0; i < piece.size(); ++i) {
    const char c = piece[i];
    line_breaks_ += c == '\n' ? 1 : 0;
    if (is_escaped_) {
      is_escaped_ = false;
    } else if (in_string_) {
      in_string_ = c != '"';
      is_escaped_ = c == '\\';
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && --depth_ <= 0) {
      return i + 1;
    }
  }
  return piece.npos;
}

void JsonValueScanner::Fail(std::string_view message) {
  status_ = InvalidArgument(fmt::format("{}:{}: {}", name_, first_line_ + line_, message));
}

char JsonValueScanner::NextByte() {
  while (HasMore()) {
    for (const char c : reader_.From(position_)) {
      if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return c;
      line_ += c == '\n' ? 1 : 0;
      ++position_;
    }
  }
  return 0;
}

bool JsonValueScanner::FindObject() {
  if (!has_begun_) {
    has_begun_ = true;
    if (!PassByteOrderMark()) return false;
    if (in_array_ && range_.begin == 0) {
      if (NextByte() != '[') {
        if (status_.ok()) Fail("expected '[', the beginning of an array of records");
        return false;
      }
      ++position_;
    }
  }
  char next = NextByte();
  const bool has_comma = in_array_ && next == ',' && (has_value_ || range_.begin != 0);
  if (has_comma) {
    ++position_;
    next = NextByte();
  }
  if (!status_.ok()) return false;
  if (next == '{' && (has_comma || !has_value_ || !in_array_)) return true;
  if (in_array_ && next == ']' && !has_comma) {
    ++position_;
    has_ended_ = true;
    if (NextByte() != 0) Fail("something follows the array of records");
    return false;
  }
  has_ended_ = true;
  if (next == 0 && (!in_array_ || range_.end < range_.limit)) return false;
  if (next == 0) {
    Fail("the array of records does not end; is the file cut off?");
  } else {
    Fail(fmt::format("expected a record, which is a JSON object: '{{'{}; found {}",
                     in_array_ && has_value_ && !has_comma ? " behind a comma" : "",
                     Quoted(reader_.From(position_).substr(0, 20))));
  }
  return false;
}

bool JsonValueScanner::Next(ScannedRecord& record) {
  if (has_ended_ || !status_.ok()) return false;
  // Of a whole file also what follows the last record is looked at.
  if (position_ >= range_.end && range_.end < range_.limit) return false;
  if (!FindObject()) return false;
  if (position_ >= range_.end) return false;
  ObjectEnd object_end;
  Extent extent;
  const auto find_end = [&](std::string_view piece) { return object_end(piece); };
  if (!Take(position_, find_end, extent)) return false;
  if (!extent.has_end) {
    Fail("the record that begins here does not end; is the file cut off?");
    return false;
  }
  record = {.begin = position_,
            .end = extent.end,
            .line = line_,
            .bytes = extent.bytes,
            .hash = extent.hash,
            .text = extent.text};
  position_ = extent.end;
  line_ += object_end.line_breaks();
  has_value_ = true;
  return true;
}

}  // namespace thresher
