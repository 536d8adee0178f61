#ifndef THRESHER_DATASET_LINE_SCANNER_H_
#define THRESHER_DATASET_LINE_SCANNER_H_

#include "dataset/extent_scanner.h"

namespace thresher {

// RecordKind::kJsonLines.
class LineScanner : public ExtentScanner {
 public:
  LineScanner(const ByteSource& source, const ScanRange& range) : ExtentScanner(source, range) {}

  bool Next(ScannedRecord& record) override;

 private:
  bool Begin();
  // To the first line that begins in the range; false if there is none, or on an error.
  bool FindFirstLine();

  // Whether the line at position_ is one of the range's.
  bool BeginsInRange();

  bool has_begun_ = false;
  bool is_behind_mark_ = false;  // position_ is behind the byte order mark, in the first line
};

}  // namespace thresher

#endif  // THRESHER_DATASET_LINE_SCANNER_H_
