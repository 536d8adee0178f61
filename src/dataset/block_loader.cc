#include "dataset/block_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

constexpr int64_t kLocalStepBytes = int64_t{1} << 20;
constexpr int64_t kStoredStepBytes = int64_t{16} << 20;
// Rows are decoded so many bytes of text at a time.
constexpr int64_t kRowBatchBytes = int64_t{32} << 20;

// "lines 257-512" or "rows 1-100".
std::string PlaceOf(const RecordIndex& index, const RecordIndex::Segment& segment) {
  if (index.files()[static_cast<size_t>(segment.file)].kind == RecordKind::kParquet) {
    return fmt::format("rows {}-{}", segment.begin + 1, segment.end);
  }
  const RecordIndex::Segment* next = index.NextSegment(segment);
  if (next == nullptr) return fmt::format("lines {} to the end", segment.line);
  return fmt::format("lines {}-{}", segment.line, std::max(segment.line, next->line - 1));
}

bool MeansChanged(const Status& status) {
  return status.code() == Code::kDataLoss || status.code() == Code::kInvalidArgument;
}

}  // namespace

Status BlockLoader::Changed(const Segment& segment, const std::string& detail) const {
  return FailedPrecondition(fmt::format(
      "{}: {} are not what the data set's index says{}{}: the file changed since the run began; "
      "use the file that the run was made with, or another --output",
      files_.file(segment.file).address, PlaceOf(index_, segment), detail.empty() ? "" : ", ",
      detail));
}

void BlockLoader::BeginBlock() {
  lengths_ = index_.LengthsOf(block_);
  int64_t bytes = 0;
  for (const int64_t length : lengths_) bytes += length <= max_record_bytes() ? length : 0;
  loading_ = std::make_shared<LoadedBlock>();
  // Entries point into it: it must not grow.
  loading_->texts.reserve(static_cast<size_t>(bytes));
  loading_->entries.reserve(lengths_.size());
}

Status BlockLoader::Add(const Segment& segment, int64_t line, int64_t bytes, const RecordHash& hash,
                        std::string_view text) {
  if (!loading_) BeginBlock();
  LoadedBlock& block = *loading_;
  const RecordKind kind = index_.files()[static_cast<size_t>(segment.file)].kind;
  if (bytes != lengths_[block.entries.size()]) {
    return Changed(segment);
  }
  LoadedBlock::Entry entry = {.text = {},
                              .unread_bytes = 0,
                              .line = line,
                              .hash = hash,
                              .file = segment.file,
                              .kind = kind};
  if (bytes <= max_record_bytes()) {
    THRESHER_CHECK(static_cast<int64_t>(text.size()) == bytes);
    const size_t begin = block.texts.size();
    block.texts += text;
    entry.text = std::string_view(block.texts).substr(begin);
  } else {
    entry.unread_bytes = bytes;
  }
  block.entries.push_back(entry);
  hasher_.Add(bytes, hash);
  return block.entries.size() == lengths_.size() ? FinishBlock(segment) : OkStatus();
}

Status BlockLoader::FinishBlock(const Segment& segment) {
  if (hasher_.Finish() != index_.block(block_).hash) {
    // Any of the block's segments may be the changed one; the last is named, and all its files.
    const std::span<const Segment> segments = index_.SegmentsOf(block_);
    const std::string detail = segments.size() == 1
                                   ? ""
                                   : fmt::format("or those before them, from {} on",
                                                 files_.file(segments[0].file).address);
    return Changed(segment, detail);
  }
  loaded_.push_back(std::move(loading_));
  loading_.reset();
  ++block_;
  return OkStatus();
}

Status BlockLoader::ScanSegments(const std::vector<Segment>& segments, const OpenedFile& file) {
  const DatasetOptions& options = files_.options();
  ASSIGN_OR_RETURN(const TextRules rules,
                   TextRules::Parse(options.documents, options.document_piece_bytes));
  const ScanRange range = {
      .begin = segments.front().begin,
      .end = segments.back().end,
      .limit = file.size(),
      .begins_at_record = true,
      .step_bytes = files_.file(segments.front().file).store ? kStoredStepBytes : kLocalStepBytes,
      .text_limit_bytes = max_record_bytes()};
  const int64_t first_line = segments.front().line;
  const std::unique_ptr<RecordScanner> scanner =
      NewRecordScanner(file.kind, *file.source, range, rules, first_line);
  ScannedRecord record;
  for (const Segment& segment : segments) {
    for (int32_t i = 0; i < segment.record_count; ++i) {
      if (!scanner->Next(record)) {
        const Status& status = scanner->status();
        if (!status.ok() && !MeansChanged(status)) return status;
        return Changed(segment, status.ok() ? "there are fewer records" : status.message());
      }
      RETURN_IF_ERROR(
          Add(segment, first_line + record.line, record.bytes, record.hash, record.text));
    }
  }
  return OkStatus();
}

Status BlockLoader::ReadRows(const std::vector<Segment>& segments, const ParquetFile& file) {
  // Rows that were decoded, but not taken yet.
  std::vector<std::string> texts;
  size_t taken = 0;
  const int64_t mean = index_.text_bytes() / std::max<int64_t>(1, index_.record_count()) + 1;
  for (const Segment& segment : segments) {
    for (int64_t row = segment.begin; row < segment.end; ++row) {
      if (taken == texts.size()) {
        const int64_t batch = std::max(RecordIndex::kMaxBlockRecords, kRowBatchBytes / mean);
        const int64_t count = std::min(batch, segments.back().end - row);
        Result<std::vector<std::string>> read = file.ReadRows(row, count);
        if (!read.ok() && !MeansChanged(read.status())) return read.status();
        if (!read.ok()) {
          return Changed(segment, read.status().message());
        }
        texts = *std::move(read);
        taken = 0;
      }
      const std::string& text = texts[taken++];
      RETURN_IF_ERROR(Add(segment, row + 1, static_cast<int64_t>(text.size()), HashOf(text), text));
    }
  }
  return OkStatus();
}

Status BlockLoader::LoadSegments(const std::vector<Segment>& segments) {
  const Segment& first = segments.front();
  ASSIGN_OR_RETURN(const std::shared_ptr<const OpenedFile> file, files_.Open(first.file));
  const RecordIndex::File& indexed = index_.files()[static_cast<size_t>(first.file)];
  if (file->kind != indexed.kind || file->size() != indexed.bytes) {
    return Changed(
        first, fmt::format("it had {} {}, now {}", indexed.bytes,
                           indexed.kind == RecordKind::kParquet ? "rows" : "bytes", file->size()));
  }
  if (file->parquet) return ReadRows(segments, *file->parquet);
  return ScanSegments(segments, *file);
}

Result<std::vector<BlockReader::Block>> BlockLoader::Load(int64_t first, int64_t end) {
  block_ = first;
  std::vector<Segment> segments;  // of one file
  for (int64_t block = first; block < end; ++block) {
    for (const Segment& segment : index_.SegmentsOf(block)) {
      if (!segments.empty() && segments.back().file != segment.file) {
        RETURN_IF_ERROR(LoadSegments(segments));
        segments.clear();
      }
      segments.push_back(segment);
    }
  }
  if (!segments.empty()) RETURN_IF_ERROR(LoadSegments(segments));
  return std::move(loaded_);
}

}  // namespace thresher
