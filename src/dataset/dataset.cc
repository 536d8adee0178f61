#include "dataset/dataset.h"

#include <utility>

#include "base/check.h"
#include "base/fingerprint.h"

namespace thresher {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view TextOf(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

}  // namespace

Result<Dataset> Dataset::Open(const std::string& path) {
  ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  Dataset dataset(std::move(file));
  const std::string_view text = TextOf(dataset.file_);
  int64_t line = 0;
  const auto add_line = [&](size_t begin, size_t end) {
    ++line;
    if (IsBlank(text.substr(begin, end - begin))) return;
    if (text[end - 1] == '\r') --end;
    dataset.records_.push_back(
        {static_cast<int64_t>(begin), line, static_cast<int64_t>(end - begin)});
  };

  size_t line_begin = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  while (line_begin < text.size()) {
    const size_t end = text.find('\n', line_begin);
    if (end == text.npos) break;
    add_line(line_begin, end);
    line_begin = end + 1;
  }
  if (line_begin < text.size()) add_line(line_begin, text.size());
  if (dataset.records_.empty()) {
    return InvalidArgument(path + (text.empty() ? " is empty" : " holds nothing but blank lines") +
                           "; expected JSONL, one record a line");
  }
  return dataset;
}

std::string Dataset::FingerprintOfFirst(int64_t record_count) const {
  Fingerprinter fingerprinter;
  for (int64_t index = 0; index < record_count; ++index) {
    fingerprinter.AddField(Record(index));
  }
  return fingerprinter.Finish();
}

std::string_view Dataset::Record(int64_t index) const {
  THRESHER_CHECK(index >= 0 && index < record_count());
  const RecordSpan& span = records_[static_cast<size_t>(index)];
  return TextOf(file_).substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.bytes));
}

std::string Dataset::Location(int64_t index) const {
  THRESHER_CHECK(index >= 0 && index < record_count());
  return path() + ":" + std::to_string(records_[static_cast<size_t>(index)].line);
}

}  // namespace thresher
