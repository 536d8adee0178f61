#include "dataset/record_index.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "dataset/varint.h"

namespace thresher {

int64_t RecordIndex::BlockOf(int64_t record) const {
  THRESHER_CHECK(record >= 0 && record < record_count_);
  const auto after = std::ranges::upper_bound(blocks_, record, {}, &Block::first_record);
  return (after - blocks_.begin()) - 1;
}

int64_t RecordIndex::BlockEnd(int64_t block) const {
  const auto next = static_cast<size_t>(block) + 1;
  return next < blocks_.size() ? blocks_[next].first_record : record_count_;
}

std::span<const RecordIndex::Segment> RecordIndex::SegmentsOf(int64_t block) const {
  const auto next = static_cast<size_t>(block) + 1;
  const auto begin = static_cast<size_t>(blocks_[next - 1].first_segment);
  const auto end =
      next < blocks_.size() ? static_cast<size_t>(blocks_[next].first_segment) : segments_.size();
  return std::span(segments_).subspan(begin, end - begin);
}

const RecordIndex::Segment* RecordIndex::NextSegment(const Segment& segment) const {
  const auto place = [](const Segment& one) { return std::pair(one.file, one.begin); };
  const auto next = std::ranges::upper_bound(segments_, place(segment), {}, place);
  return next != segments_.end() && next->file == segment.file ? &*next : nullptr;
}

std::vector<int64_t> RecordIndex::LengthsOf(int64_t block) const {
  std::vector<int64_t> lengths(
      static_cast<size_t>(BlockEnd(block) - this->block(block).first_record));
  std::string_view rest =
      std::string_view(lengths_).substr(static_cast<size_t>(this->block(block).lengths_begin));
  for (int64_t& length : lengths) length = TakeVarint(rest).value();
  return lengths;
}

int64_t RecordIndex::RecordBytes(int64_t record) const {
  const Block& holder = block(BlockOf(record));
  std::string_view rest =
      std::string_view(lengths_).substr(static_cast<size_t>(holder.lengths_begin));
  for (int64_t i = holder.first_record; i < record; ++i) (void)TakeVarint(rest);
  return TakeVarint(rest).value();
}

void BlockHasher::Add(int64_t bytes, const RecordHash& hash) {
  static_assert(std::endian::native == std::endian::little);
  const uint64_t entry[3] = {static_cast<uint64_t>(bytes), hash.low, hash.high};
  entries_.append(reinterpret_cast<const char*>(entry), sizeof(entry));
}

RecordHash BlockHasher::Finish() {
  const RecordHash hash = HashOf(entries_);
  entries_.clear();
  return hash;
}

void RecordIndexBuilder::Add(int32_t file, const Entry& entry) {
  std::vector<RecordIndex::Segment>& segments = index_.segments_;
  const bool begins_block = index_.blocks_.empty() || block_bytes_ < 0;
  if (begins_block) {
    block_bytes_ = 0;
    index_.blocks_.push_back({.hash = {},
                              .first_record = index_.record_count_,
                              .lengths_begin = static_cast<int64_t>(index_.lengths_.size()),
                              .first_segment = static_cast<int64_t>(segments.size())});
  }
  if (begins_block || segments.back().file != file) {
    THRESHER_CHECK(segments.empty() || segments.back().file <= file);
    segments.push_back({.begin = entry.begin,
                        .end = entry.end,
                        .line = entry.line,
                        .file = file,
                        .record_count = 0});
  }
  ++segments.back().record_count;
  segments.back().end = entry.end;
  AppendVarint(index_.lengths_, entry.bytes);
  hasher_.Add(entry.bytes, entry.hash);
  ++index_.record_count_;
  index_.text_bytes_ += entry.bytes;
  block_bytes_ += entry.bytes;
  const int64_t block_records = index_.record_count_ - index_.blocks_.back().first_record;
  if (block_records == RecordIndex::kMaxBlockRecords || block_bytes_ >= RecordIndex::kBlockBytes) {
    CloseBlock();
  }
}

void RecordIndexBuilder::CloseBlock() {
  index_.blocks_.back().hash = hasher_.Finish();
  block_bytes_ = -1;
}

RecordIndex RecordIndexBuilder::Finish() {
  if (!index_.blocks_.empty() && block_bytes_ >= 0) CloseBlock();
  return std::move(index_);
}

}  // namespace thresher
