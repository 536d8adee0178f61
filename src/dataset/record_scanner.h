#ifndef THRESHER_DATASET_RECORD_SCANNER_H_
#define THRESHER_DATASET_RECORD_SCANNER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dataset/byte_source.h"
#include "dataset/record_hash.h"

namespace thresher {

// How the records lie in a file. The numbers are stored in indices.
enum class RecordKind : uint8_t {
  kJsonLines = 0,   // one a line; lines with nothing but spaces, tabs, carriage returns: none
  kJsonArray = 1,   // [{..}, {..}]
  kJsonValues = 2,  // {..} {..}: objects one after the other, on as many lines as they like
  kText = 3,        // documents, cut into pieces
  kParquet = 4,     // rows; has no scanner
};

// Where plain text is cut into records.
struct TextRules {
  enum class Documents { kFile, kLine, kParagraph, kSeparator };

  Documents documents = Documents::kFile;
  std::string separator = {};               // for kSeparator
  int64_t piece_bytes = int64_t{64} << 10;  // the most that a record has

  // "file", "line", "paragraph" or "separator:TEXT", where \n, \t and \\ in TEXT stand for a line
  // break, a tab and a backslash.
  static Result<TextRules> Parse(const std::string& documents, int64_t piece_bytes);
};

// The part of a file to scan: the records that begin in [begin, end).
struct ScanRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t limit = 0;  // the last of them may go on up to here
  // False, for kJsonLines only: `begin` may be anywhere; the first line break from there on counts
  // as the beginning.
  bool begins_at_record = true;
  int64_t step_bytes = int64_t{1} << 20;        // read at once
  int64_t text_limit_bytes = int64_t{1} << 20;  // longer texts are hashed, but not kept
};

struct ScannedRecord {
  int64_t begin = 0;  // a scan from here finds this record first
  int64_t end = 0;    // a scan from here finds the next one
  int64_t line = 0;   // where the text begins, counted from 0 = the range's first line
  int64_t bytes = 0;  // of the text
  RecordHash hash;    // of the text
  // Valid until the next call; empty if it is longer than the limit.
  std::string_view text;
};

// Finds the records of a file, front to back, in bounded memory. A byte order mark at the file's
// beginning is passed over. Not thread-safe.
class RecordScanner {
 public:
  virtual ~RecordScanner() = default;

  // False at the end and on an error: see status().
  virtual bool Next(ScannedRecord& record) = 0;

  // kInvalidArgument, with file and line, where the file is not what it should be; errors of the
  // source.
  const Status& status() const { return status_; }

  // The lines that begin in the range; known at its end. kJsonLines only.
  int64_t line_count() const { return line_; }

 protected:
  Status status_;
  int64_t line_ = 0;
};

// `source` is borrowed; `rules` counts for kText only. `first_line` is for messages: the number of
// the range's first line.
std::unique_ptr<RecordScanner> NewRecordScanner(RecordKind kind, const ByteSource& source,
                                                const ScanRange& range, const TextRules& rules,
                                                int64_t first_line = 1);

inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace thresher

#endif  // THRESHER_DATASET_RECORD_SCANNER_H_
