#ifndef THRESHER_DATASET_OPENED_FILES_H_
#define THRESHER_DATASET_OPENED_FILES_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataset/byte_source.h"
#include "dataset/data_files.h"
#include "dataset/dataset_options.h"
#include "dataset/parquet_file.h"
#include "dataset/record_scanner.h"

namespace thresher {

// A file of a data set, ready to be read.
struct OpenedFile {
  std::shared_ptr<const ByteSource> source;    // unpacked
  std::shared_ptr<const ParquetFile> parquet;  // of kParquet
  RecordKind kind = RecordKind::kJsonLines;

  // As of RecordIndex::File: bytes, or rows.
  int64_t size() const { return parquet ? parquet->row_count() : source->bytes(); }
};

// The files of a data set, each opened (and unpacked) when it is first needed. Thread-safe.
class OpenedFiles {
 public:
  OpenedFiles(std::vector<DataFile> files, const DatasetOptions& options)
      : files_(std::move(files)), options_(options), slots_(files_.size()) {}

  const std::vector<DataFile>& files() const { return files_; }
  const DataFile& file(int32_t index) const { return files_[static_cast<size_t>(index)]; }
  const DatasetOptions& options() const { return options_; }

  // Errors name the file: kInvalidArgument if its format is none that is known, or not what its
  // name says, or if it is Parquet without any of the wanted columns.
  Result<std::shared_ptr<const OpenedFile>> Open(int32_t index) const;

 private:
  struct Slot {
    std::mutex mutex;
    std::shared_ptr<const OpenedFile> opened;  // guarded by mutex
  };

  Result<std::shared_ptr<const OpenedFile>> OpenNew(const DataFile& file) const;
  Result<std::shared_ptr<const ByteSource>> UnpackFile(std::shared_ptr<const ByteSource> source,
                                                       const DataFile& file,
                                                       Compression compression) const;
  Status OpenParquet(const DataFile& file, OpenedFile& opened) const;

  const std::vector<DataFile> files_;
  const DatasetOptions options_;
  mutable std::vector<Slot> slots_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_OPENED_FILES_H_
