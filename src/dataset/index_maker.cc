#include "dataset/index_maker.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "dataset/record_hash.h"

namespace thresher {
namespace {

using Entry = RecordIndexBuilder::Entry;

constexpr int64_t kLocalPieceBytes = int64_t{16} << 20;
constexpr int64_t kStoredPieceBytes = int64_t{64} << 20;
constexpr int64_t kStoredStepBytes = int64_t{8} << 20;
constexpr int kMaxThreads = 8;
// After so many records it is known about how many a piece holds.
constexpr size_t kGuessFrom = 1000;
// Rows are decoded so many bytes of text at a time, as far as the rows before tell.
constexpr int64_t kRowBatchBytes = int64_t{32} << 20;
constexpr int64_t kFirstRowBatch = 64;

// Calls body(i) for i = 0 .. count - 1, in this order of beginning, on several threads.
void ParallelFor(size_t count, size_t threads, const std::function<void(size_t)>& body) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::jthread> helpers;
  for (size_t i = 1; i < std::min(threads, count); ++i) helpers.emplace_back(work);
  work();
}

// A part of a file that one thread scans at once: bytes, or the rows of one group.
struct Piece {
  int32_t file = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

struct PieceRecords {
  Status status;
  std::vector<Entry> entries;  // lines counted from 0 = the piece's first
  int64_t line_count = 0;
};

class IndexMaker {
 public:
  explicit IndexMaker(const OpenedFiles& files) : files_(files) {
    const int64_t asked = files.options().threads;
    const auto machine = static_cast<int64_t>(std::thread::hardware_concurrency());
    const bool is_stored = !files.files().empty() && files.files().front().store != nullptr;
    // Of a store, several answers are waited for at the same time.
    const int64_t usual = is_stored ? kMaxThreads : std::clamp<int64_t>(machine, 1, kMaxThreads);
    threads_ = static_cast<size_t>(asked > 0 ? asked : usual);
  }

  Result<RecordIndex> Make();

 private:
  Status OpenAll();
  void CutIntoPieces();
  PieceRecords Scan(const Piece& piece) const;
  PieceRecords ScanRows(const Piece& piece) const;
  void ScanAndMerge(size_t index);
  void Merge(const Piece& piece, PieceRecords records);

  const OpenedFiles& files_;
  TextRules rules_;
  size_t threads_ = 1;
  std::vector<std::shared_ptr<const OpenedFile>> opened_;
  std::vector<Piece> pieces_;

  std::mutex mutex_;
  std::condition_variable has_merged_;
  // All below is guarded by mutex_.
  std::vector<std::optional<PieceRecords>> scanned_;
  size_t merged_ = 0;  // pieces
  std::optional<RecordIndexBuilder> builder_;
  int32_t line_file_ = -1;  // the file that line_count_ is of
  int64_t line_count_ = 0;  // in its pieces that are merged
  Status first_error_;      // the first error, in the order of the pieces
};

Status IndexMaker::OpenAll() {
  const size_t count = files_.files().size();
  opened_.resize(count);
  std::vector<Status> statuses(count);
  std::atomic<bool> has_failed = false;
  ParallelFor(count, threads_, [&](size_t i) {
    if (has_failed) return;
    Result<std::shared_ptr<const OpenedFile>> opened = files_.Open(static_cast<int32_t>(i));
    if (opened.ok()) {
      opened_[i] = *std::move(opened);
    } else {
      statuses[i] = opened.status();
      has_failed = true;
    }
  });
  for (const Status& status : statuses) RETURN_IF_ERROR(status);
  return OkStatus();
}

void IndexMaker::CutIntoPieces() {
  for (size_t i = 0; i < opened_.size(); ++i) {
    const OpenedFile& file = *opened_[i];
    const auto index = static_cast<int32_t>(i);
    if (file.parquet) {
      for (const ParquetFile::RowGroup& group : file.parquet->row_groups()) {
        pieces_.push_back({.file = index, .begin = group.begin, .end = group.begin + group.count});
      }
      continue;
    }
    const bool is_stored = files_.file(index).store != nullptr;
    int64_t step = is_stored ? kStoredPieceBytes : kLocalPieceBytes;
    if (file.kind != RecordKind::kJsonLines) step = std::max<int64_t>(1, file.size());
    for (int64_t begin = 0; begin < file.size(); begin += step) {
      pieces_.push_back(
          {.file = index, .begin = begin, .end = std::min(file.size(), begin + step)});
    }
  }
}

PieceRecords IndexMaker::ScanRows(const Piece& piece) const {
  const ParquetFile& parquet = *opened_[static_cast<size_t>(piece.file)]->parquet;
  PieceRecords records;
  int64_t bytes = 0;
  int64_t batch = kFirstRowBatch;
  for (int64_t row = piece.begin; row < piece.end;) {
    const int64_t count = std::min(batch, piece.end - row);
    const Result<std::vector<std::string>> texts = parquet.ReadRows(row, count);
    if (!texts.ok()) {
      records.status = texts.status();
      return records;
    }
    for (const std::string& text : *texts) {
      records.entries.push_back({.begin = row,
                                 .end = row + 1,
                                 .line = row,
                                 .bytes = static_cast<int64_t>(text.size()),
                                 .hash = HashOf(text)});
      bytes += static_cast<int64_t>(text.size());
      ++row;
    }
    const int64_t mean = bytes / std::max<int64_t>(1, row - piece.begin) + 1;
    batch = std::max(kFirstRowBatch, kRowBatchBytes / mean);
  }
  return records;
}

PieceRecords IndexMaker::Scan(const Piece& piece) const {
  const OpenedFile& file = *opened_[static_cast<size_t>(piece.file)];
  if (file.parquet) return ScanRows(piece);
  ScanRange range = {.begin = piece.begin, .end = piece.end, .limit = file.size()};
  if (piece.begin > 0) {
    // A line may begin right at the piece's beginning: the line break before it tells.
    range.begin -= 1;
    range.begins_at_record = false;
  }
  if (files_.file(piece.file).store) range.step_bytes = kStoredStepBytes;
  const std::unique_ptr<RecordScanner> scanner =
      NewRecordScanner(file.kind, *file.source, range, rules_);
  PieceRecords records;
  ScannedRecord record;
  while (scanner->Next(record)) {
    if (records.entries.size() == kGuessFrom) {
      // One large piece of memory, instead of ever larger ones that are copied.
      const int64_t mean = (record.end - piece.begin) / static_cast<int64_t>(kGuessFrom) + 1;
      records.entries.reserve(static_cast<size_t>((piece.end - piece.begin) / mean * 5 / 4));
    }
    records.entries.push_back({.begin = record.begin,
                               .end = record.end,
                               .line = record.line,
                               .bytes = record.bytes,
                               .hash = record.hash});
  }
  records.status = scanner->status();
  records.line_count = scanner->line_count();
  return records;
}

void IndexMaker::Merge(const Piece& piece, PieceRecords records) {
  if (!first_error_.ok()) return;
  first_error_ = records.status;
  if (piece.file != line_file_) line_count_ = 0;
  line_file_ = piece.file;
  for (Entry& entry : records.entries) {
    entry.line += line_count_ + 1;
    builder_->Add(piece.file, entry);
  }
  line_count_ += records.line_count;
}

void IndexMaker::ScanAndMerge(size_t index) {
  {
    // No thread runs far ahead of what is merged: memory stays bounded.
    std::unique_lock lock(mutex_);
    has_merged_.wait(lock, [&] { return index < merged_ + 2 * threads_; });
    if (!first_error_.ok()) return;
  }
  PieceRecords records = Scan(pieces_[index]);
  std::lock_guard lock(mutex_);
  scanned_[index] = std::move(records);
  while (merged_ < scanned_.size() && scanned_[merged_]) {
    Merge(pieces_[merged_], *std::move(scanned_[merged_]));
    scanned_[merged_].reset();
    ++merged_;
  }
  // After an error nobody needs to wait.
  if (!first_error_.ok()) merged_ = scanned_.size();
  has_merged_.notify_all();
}

Result<RecordIndex> IndexMaker::Make() {
  const DatasetOptions& options = files_.options();
  ASSIGN_OR_RETURN(rules_, TextRules::Parse(options.documents, options.document_piece_bytes));
  RETURN_IF_ERROR(OpenAll());
  CutIntoPieces();
  scanned_.resize(pieces_.size());
  std::vector<RecordIndex::File> indexed;
  for (size_t i = 0; i < opened_.size(); ++i) {
    const DataFile& file = files_.file(static_cast<int32_t>(i));
    indexed.push_back({.name = file.name, .bytes = opened_[i]->size(), .kind = opened_[i]->kind});
    if (opened_[i]->size() == 0 && opened_.size() > 1 && options.events) {
      options.events(file.address + " is empty; passed over");
    }
  }
  builder_.emplace(std::move(indexed));
  ParallelFor(pieces_.size(), threads_, [&](size_t i) { ScanAndMerge(i); });
  RETURN_IF_ERROR(first_error_);
  return builder_->Finish();
}

}  // namespace

Result<RecordIndex> MakeIndex(const OpenedFiles& files) { return IndexMaker(files).Make(); }

}  // namespace thresher
