#include "dataset/text_scanner.h"

#include <algorithm>

#include "dataset/extent_scanner.h"

namespace thresher {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";

int64_t LineBreaks(std::string_view text) { return std::ranges::count(text, '\n'); }

// The length of the blank lines at the text's beginning.
size_t BlankLines(std::string_view text) {
  const size_t first = text.find_first_not_of(kWhiteSpace);
  const size_t line_break = text.substr(0, first).rfind('\n');
  return line_break == text.npos ? 0 : line_break + 1;
}

// The first line break, at or before `limit`, that a blank line follows; or npos.
size_t ParagraphEnd(std::string_view text, size_t limit) {
  for (size_t at = text.find('\n'); at <= limit; at = text.find('\n', at + 1)) {
    const size_t next = text.find_first_not_of(kBlanks, at + 1);
    if (next != text.npos && text[next] == '\n') return at;
  }
  return text.npos;
}

}  // namespace

size_t PieceBytes(std::string_view text, size_t limit) {
  const std::string_view fits = text.substr(0, limit);
  const auto behind = [&](std::string_view mark) {
    const size_t found = fits.rfind(mark);
    return found == fits.npos ? 0 : found + mark.size();
  };
  if (const size_t paragraph = std::max(behind("\n\n"), behind("\n\r\n")); paragraph > 0) {
    return paragraph;
  }
  if (const size_t line = behind("\n"); line > 0) return line;
  if (const size_t word = fits.find_last_of(" \t"); word != fits.npos) return word + 1;
  // Bytes 10xxxxxx continue a character, of at most four bytes.
  for (size_t bytes = limit; bytes > 0 && bytes + 4 > limit; --bytes) {
    if ((static_cast<unsigned char>(text[bytes]) & 0xc0) != 0x80) return bytes;
  }
  return limit;
}

TextScanner::TextScanner(const ByteSource& source, const ScanRange& range, const TextRules& rules)
    : range_(range),
      rules_(rules),
      piece_bytes_(static_cast<size_t>(rules.piece_bytes)),
      // Behind a piece: a separator, or the line break and one byte more.
      window_bytes_(piece_bytes_ + std::max<size_t>(2, rules.separator.size())),
      // The last piece that begins in the range is read to its end in the same step.
      reader_(source,
              {.begin = range.begin,
               .end = std::min(range.limit, range.end + static_cast<int64_t>(window_bytes_)),
               .limit = range.limit,
               .step_bytes = range.step_bytes}),
      position_(range.begin) {}

std::string_view TextScanner::Window() {
  while (reader_.From(position_).size() < window_bytes_ && reader_.Widen(position_)) {
  }
  if (!reader_.status().ok()) {
    status_ = reader_.status();
    return {};
  }
  const std::string_view window = reader_.From(position_).substr(0, window_bytes_);
  at_end_ = position_ + static_cast<int64_t>(window.size()) == range_.limit;
  return window;
}

size_t TextScanner::BytesToPassOver(std::string_view window) const {
  const bool has_separator = rules_.documents == TextRules::Documents::kSeparator;
  if (has_separator && window.starts_with(rules_.separator)) return rules_.separator.size();
  size_t blank = BlankLines(window);
  if (has_separator) {
    // A separator may begin with line breaks.
    blank = std::min(blank, window.find(rules_.separator));
  }
  return blank;
}

bool TextScanner::FindDocumentEnd(std::string_view window, Cut& cut) const {
  size_t end = std::string_view::npos;
  size_t mark_bytes = 1;
  switch (rules_.documents) {
    case TextRules::Documents::kFile:
      break;
    case TextRules::Documents::kLine:
      end = window.find('\n');
      break;
    case TextRules::Documents::kParagraph:
      end = ParagraphEnd(window, piece_bytes_);
      break;
    case TextRules::Documents::kSeparator:
      end = window.find(rules_.separator);
      mark_bytes = rules_.separator.size();
      break;
  }
  if (end <= piece_bytes_) {
    cut = {.end = end, .next = end + mark_bytes};
    return true;
  }
  if (!at_end_ || window.size() > piece_bytes_) return false;
  cut = {.end = window.size(), .next = window.size()};
  return true;
}

void TextScanner::PassOver(std::string_view text) {
  line_ += LineBreaks(text);
  position_ += static_cast<int64_t>(text.size());
}

bool TextScanner::Next(ScannedRecord& record) {
  while (status_.ok() && position_ < range_.end) {
    const std::string_view window = Window();
    if (window.empty()) return false;
    if (position_ == 0 && window.starts_with(kByteOrderMark)) {
      position_ += static_cast<int64_t>(kByteOrderMark.size());
      continue;
    }
    if (const size_t passed = BytesToPassOver(window); passed > 0) {
      PassOver(window.substr(0, passed));
      continue;
    }
    Cut cut;
    if (!FindDocumentEnd(window, cut)) {
      cut.end = cut.next = PieceBytes(window, piece_bytes_);
    }
    std::string_view text = window.substr(0, cut.end);
    // npos + 1 is 0: nothing but white space.
    text = text.substr(0, text.find_last_not_of(kWhiteSpace) + 1);
    const int64_t begin = position_;
    const int64_t line = line_;
    PassOver(window.substr(0, cut.next));
    if (text.empty()) continue;
    record = {.begin = begin,
              .end = position_,
              .line = line,
              .bytes = static_cast<int64_t>(text.size()),
              .hash = HashOf(text),
              .text = text};
    return true;
  }
  return false;
}

}  // namespace thresher
