#ifndef THRESHER_DATASET_DATASET_H_
#define THRESHER_DATASET_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dataset/block_reader.h"
#include "dataset/dataset_options.h"

namespace thresher {

// One record of a data set.
struct Record {
  std::string_view text;  // a JSON object, or the text of a document
  bool is_json = true;
  // > 0: the record has so many bytes, more than DatasetOptions::max_record_bytes, and `text` is
  // empty.
  int64_t unread_bytes = 0;
};

// Consecutive records of a data set, with whatever their texts point into. Immutable.
class Records {
 public:
  int64_t count() const { return static_cast<int64_t>(entries_.size()); }

  // `i` counts from 0. The text is valid as long as this object.
  Record operator[](int64_t i) const;

  // "tasks.jsonl:17", or "tasks.parquet: row 17", for messages; lines and rows counted from 1.
  std::string Location(int64_t i) const;

 private:
  friend class Dataset;
  Records() = default;

  std::vector<LoadedBlock::Entry> entries_;
  std::vector<BlockReader::Block> blocks_;  // that the entries point into
  std::shared_ptr<const OpenedFiles> files_;
};

// The records of one or many files, with random access by record index. Formats: JSONL (one record
// a line; lines of only spaces, tabs and carriage returns are passed over), JSON arrays of objects,
// plain text, Parquet; the first three also packed with gzip or zstd, which are unpacked into a
// cache on this machine. Records are in the order of the files' names.
//
// Opening makes or loads an index of the records (see RecordIndex): reading some then reads the
// blocks that hold them and nothing before. What is read is checked against the index, so a file
// that changes, shrinks or vanishes while it is in use is an error and never gives other records.
// Immutable; thread-safe.
class Dataset {
 public:
  // The addresses that FindDataFiles takes, and those of a hub (hub/address.h). Errors name the
  // file, and where it helps the line; a data set without any record is kInvalidArgument.
  static Result<Dataset> Open(const std::string& address, const DatasetOptions& options = {});

  // The same for local files in the order given; `address` is what the data set is called.
  static Result<Dataset> OpenFiles(const std::vector<std::string>& local_paths,
                                   const std::string& address, const DatasetOptions& options = {});

  int64_t record_count() const;

  // Records [first, first + count), which must exist. kFailedPrecondition, with file and lines, if
  // they are no longer what the index says.
  Result<Records> Read(int64_t first, int64_t count) const;

  // The length of the record's text, known without reading it.
  int64_t RecordBytes(int64_t index) const;

  // Of the texts of the first `record_count` records: the same for every data set that begins with
  // them, in whatever files they lie; of JSONL also however the lines end. Follows from the index
  // but for the records of one block, which are read.
  Result<std::string> FingerprintOfFirst(int64_t record_count) const;

  // "3 files, 1.2 GB, Parquet, 200,000 rows; columns: id (int64), text (string)", or
  // "1 file, 6.2 kB, plain text, 1 record; text is divided by file (--documents)".
  std::string Describe() const;

  const std::string& address() const;

 private:
  struct State;
  explicit Dataset(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  static Result<Dataset> OpenAll(const std::string& address, std::vector<DataFile> files,
                                 const DatasetOptions& options);

  std::shared_ptr<const State> state_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_DATASET_H_
