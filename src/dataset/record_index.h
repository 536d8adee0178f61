#ifndef THRESHER_DATASET_RECORD_INDEX_H_
#define THRESHER_DATASET_RECORD_INDEX_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dataset/record_hash.h"
#include "dataset/record_scanner.h"

namespace thresher {

// Where every record of a data set lies, how long it is, and what it must be.
//
// Records are held in blocks: at most kMaxBlockRecords, and no more once their texts have
// kBlockBytes. So blocks follow from the records alone, not from the files that hold them. A block
// is what is read and checked at once. The part of a block that lies in one file is a segment.
// Immutable; thread-safe.
class RecordIndex {
 public:
  static constexpr int64_t kMaxBlockRecords = 256;
  static constexpr int64_t kBlockBytes = int64_t{1} << 20;

  struct File {
    std::string name;   // in the data set's folder
    int64_t bytes = 0;  // unpacked; of kParquet the rows
    RecordKind kind = RecordKind::kJsonLines;
    bool operator==(const File&) const = default;
  };
  // Places in a file are bytes; in one of kParquet rows.
  struct Segment {
    int64_t begin = 0;  // a scan from here finds the segment's first record first
    int64_t end = 0;
    int64_t line = 0;  // of the first record, counted from 1; of kParquet the row
    int32_t file = 0;  // index into files()
    int32_t record_count = 0;
    bool operator==(const Segment&) const = default;
  };
  struct Block {
    RecordHash hash;  // see BlockHasher
    int64_t first_record = 0;
    int64_t lengths_begin = 0;  // its records' lengths in the index, as varints
    int64_t first_segment = 0;
    bool operator==(const Block&) const = default;
  };

  const std::vector<File>& files() const { return files_; }
  int64_t record_count() const { return record_count_; }
  int64_t text_bytes() const { return text_bytes_; }  // of all records
  int64_t block_count() const { return static_cast<int64_t>(blocks_.size()); }

  const Block& block(int64_t index) const { return blocks_[static_cast<size_t>(index)]; }
  // The index of the block that holds the record.
  int64_t BlockOf(int64_t record) const;
  // One behind the block's last record.
  int64_t BlockEnd(int64_t block) const;
  std::span<const Segment> SegmentsOf(int64_t block) const;
  // The next segment in the same file; nothing behind the last. `segment` must be one of this
  // index.
  const Segment* NextSegment(const Segment& segment) const;
  // The lengths of the texts of a block's records.
  std::vector<int64_t> LengthsOf(int64_t block) const;

  int64_t RecordBytes(int64_t record) const;

  // A binary file: see docs/formats.md. Equal for equal indices.
  std::string Serialize() const;

  // kDataLoss, with the reason, for what Serialize has not written.
  static Result<RecordIndex> Parse(std::string_view bytes);

  bool operator==(const RecordIndex&) const = default;

 private:
  friend class RecordIndexBuilder;
  friend class RecordIndexParser;

  std::vector<File> files_;
  std::vector<Segment> segments_;
  std::vector<Block> blocks_;
  std::string lengths_;
  int64_t record_count_ = 0;
  int64_t text_bytes_ = 0;
};

// The hash of a block: XXH3-128 of, for each of its records, the length of the text (8 bytes,
// little-endian) and the text's XXH3-128 (low 8 bytes, then high 8 bytes, little-endian). Hashes
// of hashes, so that threads can hash records before anybody knows which block they fall into.
class BlockHasher {
 public:
  void Add(int64_t bytes, const RecordHash& hash);
  // The hash of what was added since the last call.
  RecordHash Finish();

 private:
  std::string entries_;
};

// Makes an index from records in their order.
class RecordIndexBuilder {
 public:
  struct Entry {
    int64_t begin = 0;
    int64_t end = 0;
    int64_t line = 0;  // as of Segment
    int64_t bytes = 0;
    RecordHash hash;
  };

  explicit RecordIndexBuilder(std::vector<RecordIndex::File> files) {
    index_.files_ = std::move(files);
  }

  // `file` never falls.
  void Add(int32_t file, const Entry& entry);

  // For what is known only when the file's records are.
  RecordIndex::File& file(int32_t index) { return index_.files_[static_cast<size_t>(index)]; }
  int64_t record_count() const { return index_.record_count_; }

  RecordIndex Finish();

 private:
  void CloseBlock();

  RecordIndex index_;
  BlockHasher hasher_;
  int64_t block_bytes_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_RECORD_INDEX_H_
