#include "dataset/record_scanner.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/escapes.h"
#include "base/json.h"
#include "dataset/json_value_scanner.h"
#include "dataset/line_scanner.h"
#include "dataset/text_scanner.h"

namespace thresher {
namespace {

constexpr int64_t kMaxPieceBytes = int64_t{16} << 20;
constexpr size_t kMaxSeparatorBytes = 1024;
// Every character of UTF-8 fits into a piece.
constexpr int64_t kMinPieceBytes = 16;

Result<std::string> ParseSeparator(std::string_view text) {
  ASSIGN_OR_RETURN(std::string separator, Unescape(text));
  if (separator.empty() || separator.size() > kMaxSeparatorBytes) {
    return InvalidArgument(fmt::format("a separator has 1 to {} bytes, this one {}",
                                       kMaxSeparatorBytes, separator.size()));
  }
  return separator;
}

}  // namespace

Result<TextRules> TextRules::Parse(const std::string& documents, int64_t piece_bytes) {
  if (piece_bytes < kMinPieceBytes || piece_bytes > kMaxPieceBytes) {
    return InvalidArgument(fmt::format("pieces of documents can have {} bytes to 16 MiB, not {}",
                                       kMinPieceBytes, piece_bytes));
  }
  TextRules rules;
  rules.piece_bytes = piece_bytes;
  constexpr std::string_view kSeparatorPrefix = "separator:";
  if (documents == "file") {
    rules.documents = Documents::kFile;
  } else if (documents == "line") {
    rules.documents = Documents::kLine;
  } else if (documents == "paragraph") {
    rules.documents = Documents::kParagraph;
  } else if (documents.starts_with(kSeparatorPrefix)) {
    rules.documents = Documents::kSeparator;
    ASSIGN_OR_RETURN(rules.separator,
                     ParseSeparator(std::string_view(documents).substr(kSeparatorPrefix.size())));
  } else {
    return InvalidArgument(fmt::format(
        "documents of plain text are divided by file, line, paragraph or separator:TEXT, not {}",
        Quoted(documents)));
  }
  return rules;
}

std::unique_ptr<RecordScanner> NewRecordScanner(RecordKind kind, const ByteSource& source,
                                                const ScanRange& range, const TextRules& rules,
                                                int64_t first_line) {
  THRESHER_CHECK(range.begins_at_record || kind == RecordKind::kJsonLines);
  switch (kind) {
    case RecordKind::kJsonLines:
      return std::make_unique<LineScanner>(source, range);
    case RecordKind::kJsonArray:
    case RecordKind::kJsonValues:
      return std::make_unique<JsonValueScanner>(source, range, kind == RecordKind::kJsonArray,
                                                first_line);
    case RecordKind::kText:
      return std::make_unique<TextScanner>(source, range, rules);
    case RecordKind::kParquet:
      break;
  }
  THRESHER_CHECK(false);
  return nullptr;
}

}  // namespace thresher
