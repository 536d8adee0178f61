#ifndef THRESHER_DATASET_PARQUET_FILE_H_
#define THRESHER_DATASET_PARQUET_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataset/byte_source.h"

namespace thresher {

// A Parquet file, read as JSON objects. Immutable; thread-safe.
//
// How values become JSON: integers exactly; floats with the fewest digits that read back as the
// same number, NaN and infinities as null; missing values as null; lists as arrays; structs and
// maps as objects; strings, and binary that is UTF-8, as strings; decimals as strings of digits;
// dates and times as strings of ISO 8601 ("2024-07-26T12:00:00.5", with a Z behind it if the file
// says UTC). Other binary and intervals are errors when their column is read. Compression: snappy,
// gzip, lz4, zstd, brotli or none.
class ParquetFile {
 public:
  struct Column {
    std::string name;
    std::string type;  // for people: "list<list<list<int64>>>"
  };
  struct RowGroup {
    int64_t begin = 0;  // the index of its first row in the file
    int64_t count = 0;
  };

  // Reads the footer. Only the top-level columns named in `columns` will be read and decoded; those
  // that the file lacks are passed over; empty means all. Errors name the file: kInvalidArgument if
  // it is no Parquet file or has features that are not supported, kDataLoss if it is cut off or
  // damaged, and those of `source`.
  static Result<ParquetFile> Open(std::shared_ptr<const ByteSource> source,
                                  const std::vector<std::string>& columns);

  ParquetFile(ParquetFile&&) noexcept;
  ParquetFile& operator=(ParquetFile&&) noexcept;
  ~ParquetFile();

  int64_t row_count() const { return row_count_; }

  // All top-level columns of the file, in its order.
  const std::vector<Column>& columns() const { return columns_; }

  // In order and without holes. Rows of one group are read together: the chosen columns of a whole
  // group are fetched (and, up to the last row asked for, unpacked) even for one row of it.
  const std::vector<RowGroup>& row_groups() const { return row_groups_; }

  // Rows [first, first + count), which must exist, each as the text of a JSON object with its
  // members in the order of the file's columns. Errors as for Open.
  Result<std::vector<std::string>> ReadRows(int64_t first, int64_t count) const;

 private:
  struct Handle;
  explicit ParquetFile(std::unique_ptr<Handle> handle);

  std::unique_ptr<Handle> handle_;
  int64_t row_count_ = 0;
  std::vector<Column> columns_;
  std::vector<RowGroup> row_groups_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_PARQUET_FILE_H_
