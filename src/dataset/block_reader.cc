#include "dataset/block_reader.h"

#include <algorithm>

#include "dataset/block_loader.h"

namespace thresher {
namespace {

constexpr int64_t kKeptBytes = int64_t{64} << 20;
// At least so many blocks are read ahead in a row group, which is unpacked as a whole anyway.
constexpr int64_t kRowsAheadBytes = int64_t{32} << 20;

}  // namespace

BlockReader::Block BlockReader::Find(int64_t index) const {
  std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(kept_, index, [](const auto& entry) { return entry.first; });
  if (found == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found);
  return kept_.front().second;
}

void BlockReader::Keep(int64_t index, const Block& block) const {
  const auto bytes = static_cast<int64_t>(block->texts.size());
  if (bytes > kKeptBytes) return;
  std::lock_guard lock(mutex_);
  kept_.emplace_front(index, block);
  kept_bytes_ += bytes;
  while (kept_bytes_ > kKeptBytes) {
    kept_bytes_ -= static_cast<int64_t>(kept_.back().second->texts.size());
    kept_.pop_back();
  }
}

Result<int64_t> BlockReader::EndWithRowsAhead(int64_t first, int64_t end) const {
  const RecordIndex::Segment last = index_.SegmentsOf(end - 1).back();
  if (index_.files()[static_cast<size_t>(last.file)].kind != RecordKind::kParquet) return end;
  ASSIGN_OR_RETURN(const std::shared_ptr<const OpenedFile> file, files_.Open(last.file));
  // What changed is found when it is read.
  if (!file->parquet || last.end > file->parquet->row_count()) return end;
  const std::vector<ParquetFile::RowGroup>& groups = file->parquet->row_groups();
  const auto group = std::ranges::find_if(
      groups, [&](const auto& candidate) { return last.end <= candidate.begin + candidate.count; });
  const int64_t group_end = group->begin + group->count;
  int64_t bytes = 0;
  const auto count = [&](int64_t block) {
    for (const int64_t length : index_.LengthsOf(block)) bytes += length;
  };
  for (int64_t block = first; block < end; ++block) count(block);
  while (end < index_.block_count() && bytes < kRowsAheadBytes) {
    const RecordIndex::Segment& next = index_.SegmentsOf(end).back();
    if (next.file != last.file || next.end > group_end) break;
    count(end++);
  }
  return end;
}

Result<std::vector<BlockReader::Block>> BlockReader::Read(int64_t first, int64_t end) const {
  std::vector<Block> blocks;
  for (int64_t index = first; index < end; ++index) blocks.push_back(Find(index));
  for (int64_t index = first; index < end; ++index) {
    if (blocks[static_cast<size_t>(index - first)]) continue;
    int64_t missing_end = index + 1;
    while (missing_end < end && !blocks[static_cast<size_t>(missing_end - first)]) ++missing_end;
    ASSIGN_OR_RETURN(const int64_t load_end, EndWithRowsAhead(index, missing_end));
    ASSIGN_OR_RETURN(const std::vector<Block> loaded,
                     BlockLoader(files_, index_).Load(index, load_end));
    for (int64_t block = index; block < load_end; ++block) {
      const Block& read = loaded[static_cast<size_t>(block - index)];
      if (block < missing_end) blocks[static_cast<size_t>(block - first)] = read;
      Keep(block, read);
    }
    index = missing_end - 1;
  }
  return blocks;
}

}  // namespace thresher
