#ifndef THRESHER_DATASET_BLOCK_READER_H_
#define THRESHER_DATASET_BLOCK_READER_H_

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dataset/opened_files.h"
#include "dataset/record_index.h"

namespace thresher {

// The records of a block, read and found to be what the index says.
struct LoadedBlock {
  struct Entry {
    std::string_view text;     // into `texts`
    int64_t unread_bytes = 0;  // > 0: too long, and not in `texts`
    int64_t line = 0;          // as of RecordIndex::Segment
    RecordHash hash;           // of the text, also of an unread one
    int32_t file = 0;
    RecordKind kind = RecordKind::kJsonLines;
  };
  std::vector<Entry> entries;
  std::string texts;
};

// Reads blocks of records and checks them against the index. Neighbouring blocks are read at once;
// the last ones read are kept. Thread-safe.
class BlockReader {
 public:
  using Block = std::shared_ptr<const LoadedBlock>;

  // Both are borrowed.
  BlockReader(const OpenedFiles& files, const RecordIndex& index) : files_(files), index_(index) {}

  // Blocks [first, end). kFailedPrecondition, with file and lines, where a file is not what the
  // index says.
  Result<std::vector<Block>> Read(int64_t first, int64_t end) const;

 private:
  Block Find(int64_t index) const;
  void Keep(int64_t index, const Block& block) const;
  // Where to stop reading when blocks up to `end` are asked for: rows that follow cost little more.
  Result<int64_t> EndWithRowsAhead(int64_t first, int64_t end) const;

  const OpenedFiles& files_;
  const RecordIndex& index_;
  mutable std::mutex mutex_;
  // The last used one first; guarded by mutex_.
  mutable std::list<std::pair<int64_t, Block>> kept_;
  mutable int64_t kept_bytes_ = 0;  // guarded by mutex_
};

}  // namespace thresher

#endif  // THRESHER_DATASET_BLOCK_READER_H_
