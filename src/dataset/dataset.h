#ifndef THRESHER_DATASET_DATASET_H_
#define THRESHER_DATASET_DATASET_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"

namespace thresher {

// A JSONL file: one record a line, empty lines (only spaces, tabs, carriage returns) passed over.
// Mapped, with random access by record index. Immutable; thread-safe.
class Dataset {
 public:
  // Errors name the path; a file without any record is kInvalidArgument.
  static Result<Dataset> Open(const std::string& path);

  int64_t record_count() const { return static_cast<int64_t>(records_.size()); }

  // The record's text without the line's end; valid as long as this object.
  std::string_view Record(int64_t index) const;

  // "PATH:LINE", lines counted from 1, for messages about a record.
  std::string Location(int64_t index) const;

  // Of the texts of the first `record_count` records: the same for every file that begins with
  // them, however its lines end. Reads them.
  std::string FingerprintOfFirst(int64_t record_count) const;
  const std::string& path() const { return file_.path(); }

 private:
  struct RecordSpan {
    int64_t begin;
    int64_t line;
    int64_t bytes;
  };
  explicit Dataset(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  std::vector<RecordSpan> records_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_DATASET_H_
