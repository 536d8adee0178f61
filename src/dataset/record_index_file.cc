// The file form of RecordIndex.

#include <optional>
#include <utility>

#include "dataset/record_index.h"
#include "dataset/varint.h"

namespace thresher {
namespace {

constexpr std::string_view kMagic = "THRINDEX";
constexpr int64_t kVersion = 1;
constexpr size_t kHashBytes = 16;
constexpr auto kLastKind = static_cast<int64_t>(RecordKind::kParquet);

void AppendHash(std::string& out, const RecordHash& hash) {
  for (const uint64_t number : {hash.low, hash.high}) {
    for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(number >> shift);
  }
}

RecordHash HashAt(std::string_view bytes) {
  RecordHash hash;
  for (size_t i = 0; i < 8; ++i) {
    hash.low |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    hash.high |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i + 8])) << (8 * i);
  }
  return hash;
}

}  // namespace

std::string RecordIndex::Serialize() const {
  std::string out(kMagic);
  AppendVarint(out, kVersion);
  AppendVarint(out, static_cast<int64_t>(files_.size()));
  for (const File& file : files_) {
    AppendVarint(out, static_cast<int64_t>(file.name.size()));
    out += file.name;
    AppendVarint(out, file.bytes);
    AppendVarint(out, static_cast<int64_t>(file.kind));
  }
  AppendVarint(out, block_count());
  AppendVarint(out, static_cast<int64_t>(lengths_.size()));
  Segment before;
  for (int64_t index = 0; index < block_count(); ++index) {
    AppendHash(out, block(index).hash);
    const std::span<const Segment> segments = SegmentsOf(index);
    AppendVarint(out, static_cast<int64_t>(segments.size()));
    for (const Segment& segment : segments) {
      if (segment.file != before.file) before = {.file = before.file};
      AppendVarint(out, segment.file - before.file);
      AppendVarint(out, segment.record_count);
      AppendVarint(out, segment.begin - before.end);
      AppendVarint(out, segment.end - segment.begin);
      AppendVarint(out, segment.line - before.line);
      before = segment;
    }
  }
  out += lengths_;
  AppendHash(out, HashOf(out));
  return out;
}

// Takes an index apart, trusting nothing.
class RecordIndexParser {
 public:
  explicit RecordIndexParser(std::string_view bytes) : rest_(bytes) {}

  Result<RecordIndex> Parse() {
    if (!rest_.starts_with(kMagic)) return Wrong("it does not begin as an index");
    if (rest_.size() < kMagic.size() + kHashBytes) return Wrong("it is cut off");
    const std::string_view hash = rest_.substr(rest_.size() - kHashBytes);
    rest_.remove_suffix(kHashBytes);
    if (HashOf(rest_) != HashAt(hash)) return Wrong("its checksum does not fit");
    rest_.remove_prefix(kMagic.size());
    const std::optional<int64_t> version = TakeVarint(rest_);
    if (version != kVersion) {
      return Wrong("its version is not " + std::to_string(kVersion));
    }
    if (!TakeFiles()) return Wrong("its list of files is wrong");
    if (!TakeBlocks()) return Wrong("its blocks are wrong");
    if (!TakeLengths()) return Wrong("its lengths are wrong");
    return std::move(index_);
  }

 private:
  static Status Wrong(const std::string& why) {
    return DataLoss("this is no usable index of a data set: " + why);
  }

  // A number from `minimum` to `maximum`.
  bool Take(int64_t& value, int64_t minimum, int64_t maximum) {
    const std::optional<int64_t> taken = TakeVarint(rest_);
    if (!taken || *taken < minimum || *taken > maximum) return false;
    value = *taken;
    return true;
  }
  // How many things follow, each of at least `bytes`.
  bool TakeCount(int64_t& count, size_t bytes) {
    return Take(count, 0, static_cast<int64_t>(rest_.size() / bytes));
  }

  bool TakeFiles() {
    int64_t count = 0;
    if (!TakeCount(count, 3)) return false;
    index_.files_.resize(static_cast<size_t>(count));
    for (RecordIndex::File& file : index_.files_) {
      int64_t name_bytes = 0;
      int64_t kind = 0;
      if (!TakeCount(name_bytes, 1)) return false;
      file.name = rest_.substr(0, static_cast<size_t>(name_bytes));
      rest_.remove_prefix(static_cast<size_t>(name_bytes));
      if (!Take(file.bytes, 0, kMaxNumber) || !Take(kind, 0, kLastKind)) return false;
      file.kind = static_cast<RecordKind>(kind);
    }
    return true;
  }

  bool TakeSegment(RecordIndex::Segment& segment) {
    int64_t file = 0;
    int64_t record_count = 0;
    const auto last_file = static_cast<int64_t>(index_.files_.size()) - 1;
    if (!Take(file, 0, last_file - before_.file)) return false;
    if (file != 0) before_ = {.file = before_.file};
    segment.file = before_.file + static_cast<int32_t>(file);
    const int64_t file_bytes = index_.files_[static_cast<size_t>(segment.file)].bytes;
    if (!Take(record_count, 1, RecordIndex::kMaxBlockRecords)) return false;
    segment.record_count = static_cast<int32_t>(record_count);
    if (!Take(segment.begin, 0, file_bytes - before_.end)) return false;
    segment.begin += before_.end;
    if (!Take(segment.end, 0, file_bytes - segment.begin)) return false;
    segment.end += segment.begin;
    if (!Take(segment.line, 0, kMaxNumber - before_.line)) return false;
    segment.line += before_.line;
    before_ = segment;
    return true;
  }

  bool TakeBlocks() {
    int64_t count = 0;
    int64_t lengths_bytes = 0;
    if (!TakeCount(count, kHashBytes)) return false;
    if (!TakeCount(lengths_bytes, 1)) return false;
    index_.blocks_.resize(static_cast<size_t>(count));
    for (RecordIndex::Block& block : index_.blocks_) {
      if (rest_.size() < kHashBytes) return false;
      block.hash = HashAt(rest_);
      rest_.remove_prefix(kHashBytes);
      block.first_record = index_.record_count_;
      block.first_segment = static_cast<int64_t>(index_.segments_.size());
      int64_t segment_count = 0;
      if (!Take(segment_count, 1, RecordIndex::kMaxBlockRecords)) return false;
      for (int64_t i = 0; i < segment_count; ++i) {
        RecordIndex::Segment segment;
        if (!TakeSegment(segment)) return false;
        index_.segments_.push_back(segment);
        index_.record_count_ += segment.record_count;
      }
      if (index_.record_count_ - block.first_record > RecordIndex::kMaxBlockRecords) return false;
    }
    return static_cast<int64_t>(rest_.size()) == lengths_bytes;
  }

  bool TakeLengths() {
    index_.lengths_ = rest_;
    for (size_t i = 0; i < index_.blocks_.size(); ++i) {
      RecordIndex::Block& block = index_.blocks_[i];
      block.lengths_begin = static_cast<int64_t>(index_.lengths_.size() - rest_.size());
      const int64_t end = index_.BlockEnd(static_cast<int64_t>(i));
      for (int64_t record = block.first_record; record < end; ++record) {
        int64_t bytes = 0;
        if (!Take(bytes, 0, kMaxNumber - index_.text_bytes_)) return false;
        index_.text_bytes_ += bytes;
      }
    }
    return rest_.empty();
  }

  static constexpr int64_t kMaxNumber = int64_t{1} << 62;

  std::string_view rest_;
  RecordIndex index_;
  RecordIndex::Segment before_;
};

Result<RecordIndex> RecordIndex::Parse(std::string_view bytes) {
  return RecordIndexParser(bytes).Parse();
}

}  // namespace thresher
