#ifndef THRESHER_DATASET_BLOCK_LOADER_H_
#define THRESHER_DATASET_BLOCK_LOADER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dataset/block_reader.h"

namespace thresher {

// Reads consecutive blocks once. Not thread-safe.
class BlockLoader {
 public:
  // Both are borrowed.
  BlockLoader(const OpenedFiles& files, const RecordIndex& index) : files_(files), index_(index) {}

  // Blocks [first, end); errors as of BlockReader::Read.
  Result<std::vector<BlockReader::Block>> Load(int64_t first, int64_t end);

 private:
  using Segment = RecordIndex::Segment;

  Status LoadSegments(const std::vector<Segment>& segments);
  Status ScanSegments(const std::vector<Segment>& segments, const OpenedFile& file);
  Status ReadRows(const std::vector<Segment>& segments, const ParquetFile& file);
  // Takes the next record, of this segment; `text` is not kept if it is too long.
  Status Add(const Segment& segment, int64_t line, int64_t bytes, const RecordHash& hash,
             std::string_view text);
  void BeginBlock();
  Status FinishBlock(const Segment& segment);
  // That the file is not what the index says, there.
  Status Changed(const Segment& segment, const std::string& detail = {}) const;
  int64_t max_record_bytes() const { return files_.options().max_record_bytes; }

  const OpenedFiles& files_;
  const RecordIndex& index_;
  int64_t block_ = 0;             // being filled
  std::vector<int64_t> lengths_;  // of its records
  BlockHasher hasher_;
  std::shared_ptr<LoadedBlock> loading_;
  std::vector<BlockReader::Block> loaded_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_BLOCK_LOADER_H_
