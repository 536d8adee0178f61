#ifndef THRESHER_DATASET_TEXT_SCANNER_H_
#define THRESHER_DATASET_TEXT_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "dataset/record_scanner.h"
#include "dataset/window_reader.h"

namespace thresher {

// RecordKind::kText. A document with more bytes than a piece may have is cut: behind the last blank
// line that fits, else behind the last line break, else behind the last space or tab, else before
// the UTF-8 character that does not fit whole. Blank lines before a piece and white space behind it
// belong to none; what is nothing but white space is passed over. Where a piece ends depends only
// on what follows its beginning, so a scan can begin at any of them.
class TextScanner : public RecordScanner {
 public:
  TextScanner(const ByteSource& source, const ScanRange& range, const TextRules& rules);

  bool Next(ScannedRecord& record) override;

 private:
  // Where a text ends and where to look for the next, both counted from the window's beginning.
  struct Cut {
    size_t end = 0;
    size_t next = 0;
  };

  // What decides about the piece at position_: at most window_bytes_, fewer only where the file
  // ends.
  std::string_view Window();
  // The blank lines at the window's beginning, or a separator there.
  size_t BytesToPassOver(std::string_view window) const;
  bool FindDocumentEnd(std::string_view window, Cut& cut) const;
  void PassOver(std::string_view text);

  const ScanRange range_;
  const TextRules rules_;
  const size_t piece_bytes_;
  const size_t window_bytes_;
  WindowReader reader_;
  int64_t position_;
  bool at_end_ = false;  // the window reaches to the file's end
};

// How many bytes of `text`, which has more than `limit`, make the first piece; at least one.
size_t PieceBytes(std::string_view text, size_t limit);

}  // namespace thresher

#endif  // THRESHER_DATASET_TEXT_SCANNER_H_
