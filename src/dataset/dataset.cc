#include "dataset/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/byte_size.h"
#include "base/check.h"
#include "base/fingerprint.h"
#include "dataset/record_index.h"
#include "dataset/shared_index.h"
#include "hub/address.h"
#include "hub/local_copy.h"

namespace thresher {
namespace {

// Why there are no records at all.
Status NoRecords(const std::string& address, const OpenedFiles& files, const RecordIndex& index) {
  if (index.files().size() > 1) {
    return InvalidArgument(
        fmt::format("{}: its {} files hold no records", address, index.files().size()));
  }
  const RecordIndex::File& file = index.files().front();
  const std::string& name = files.file(0).address;
  switch (file.kind) {
    case RecordKind::kParquet:
      return InvalidArgument(name + " has no rows");
    case RecordKind::kJsonArray:
      return InvalidArgument(name + " is an empty array; expected an array of records");
    case RecordKind::kText:
      return InvalidArgument(name +
                             (file.bytes == 0 ? " is empty" : " is nothing but blank lines") +
                             "; expected plain text");
    case RecordKind::kJsonLines:
    case RecordKind::kJsonValues:
      break;
  }
  return InvalidArgument(name + (file.bytes == 0 ? " is empty" : " holds nothing but blank lines") +
                         "; expected JSONL, one record a line");
}

std::string_view NameOf(RecordKind kind) {
  switch (kind) {
    case RecordKind::kJsonLines:
      return "JSONL";
    case RecordKind::kJsonArray:
    case RecordKind::kJsonValues:
      return "JSON";
    case RecordKind::kText:
      return "plain text";
    case RecordKind::kParquet:
      return "Parquet";
  }
  return "";
}

}  // namespace

struct Dataset::State {
  State(std::string address_text, std::string documents_text,
        std::shared_ptr<const OpenedFiles> opened, RecordIndex made)
      : address(std::move(address_text)),
        documents(std::move(documents_text)),
        files(std::move(opened)),
        index(std::move(made)),
        reader(*files, index) {}

  const std::string address;
  const std::string documents;  // DatasetOptions::documents
  const std::shared_ptr<const OpenedFiles> files;
  const RecordIndex index;
  const BlockReader reader;
};

Result<Dataset> Dataset::Open(const std::string& address, const DatasetOptions& options) {
  if (IsHubAddress(address)) {
    ASSIGN_OR_RETURN(const LocalDataset local, FetchHubDataset(address, options.events));
    return OpenFiles(local.paths, local.address, options);
  }
  const StoreOpener open_store = options.open_store ? options.open_store : OpenStore;
  ASSIGN_OR_RETURN(std::vector<DataFile> files, FindDataFiles(address, open_store, options.store));
  return OpenAll(address, std::move(files), options);
}

Result<Dataset> Dataset::OpenFiles(const std::vector<std::string>& local_paths,
                                   const std::string& address, const DatasetOptions& options) {
  ASSIGN_OR_RETURN(std::vector<DataFile> files, LocalDataFiles(local_paths));
  return OpenAll(address, std::move(files), options);
}

Result<Dataset> Dataset::OpenAll(const std::string& address, std::vector<DataFile> files,
                                 const DatasetOptions& options) {
  RETURN_IF_ERROR(TextRules::Parse(options.documents, options.document_piece_bytes).status());
  const auto opened = std::make_shared<const thresher::OpenedFiles>(std::move(files), options);
  ASSIGN_OR_RETURN(RecordIndex index, LoadOrMakeIndex(*opened));
  if (index.record_count() == 0) return NoRecords(address, *opened, index);
  return Dataset(
      std::make_shared<const State>(address, options.documents, opened, std::move(index)));
}

int64_t Dataset::record_count() const { return state_->index.record_count(); }

const std::string& Dataset::address() const { return state_->address; }

Result<Records> Dataset::Read(int64_t first, int64_t count) const {
  THRESHER_CHECK(first >= 0 && count >= 0 && first + count <= record_count());
  Records records;
  records.files_ = state_->files;
  if (count == 0) return records;
  const RecordIndex& index = state_->index;
  const int64_t first_block = index.BlockOf(first);
  ASSIGN_OR_RETURN(records.blocks_,
                   state_->reader.Read(first_block, index.BlockOf(first + count - 1) + 1));
  records.entries_.reserve(static_cast<size_t>(count));
  int64_t record = index.block(first_block).first_record;
  for (const BlockReader::Block& block : records.blocks_) {
    for (const LoadedBlock::Entry& entry : block->entries) {
      if (record >= first && record < first + count) records.entries_.push_back(entry);
      ++record;
    }
  }
  return records;
}

int64_t Dataset::RecordBytes(int64_t index) const { return state_->index.RecordBytes(index); }

Result<std::string> Dataset::FingerprintOfFirst(int64_t record_count) const {
  const RecordIndex& index = state_->index;
  THRESHER_CHECK(record_count >= 0 && record_count <= index.record_count());
  Fingerprinter fingerprinter;
  const auto add = [&](const RecordHash& hash) {
    fingerprinter.Add(std::as_bytes(std::span(&hash.low, 1)));
    fingerprinter.Add(std::as_bytes(std::span(&hash.high, 1)));
  };
  int64_t record = 0;
  for (int64_t block = 0; record < record_count; ++block) {
    const int64_t end = index.BlockEnd(block);
    if (end <= record_count) {
      add(index.block(block).hash);
    } else {
      ASSIGN_OR_RETURN(const Records rest, Read(record, record_count - record));
      BlockHasher hasher;
      for (int64_t i = 0; i < rest.count(); ++i) {
        const LoadedBlock::Entry& entry = rest.entries_[static_cast<size_t>(i)];
        hasher.Add(RecordBytes(record + i), entry.hash);
      }
      add(hasher.Finish());
    }
    record = end;
  }
  return fingerprinter.Finish();
}

std::string Dataset::Describe() const {
  const RecordIndex& index = state_->index;
  int64_t bytes = 0;
  std::vector<std::string_view> kinds;
  int32_t parquet = -1;
  for (size_t i = 0; i < index.files().size(); ++i) {
    bytes += state_->files->file(static_cast<int32_t>(i)).bytes;
    const RecordKind kind = index.files()[i].kind;
    if (std::ranges::find(kinds, NameOf(kind)) == kinds.end()) kinds.push_back(NameOf(kind));
    if (kind == RecordKind::kParquet && parquet < 0) parquet = static_cast<int32_t>(i);
  }
  const size_t files = index.files().size();
  const std::string_view record = parquet >= 0 && kinds.size() == 1 ? "row" : "record";
  std::string text = fmt::format(
      "{} file{}, {}, {}, {} {}{}", FormatCount(static_cast<int64_t>(files)), files == 1 ? "" : "s",
      FormatBytes(static_cast<double>(bytes)), fmt::join(kinds, " and "),
      FormatCount(record_count()), record, record_count() == 1 ? "" : "s");
  const bool has_text = std::ranges::find(kinds, NameOf(RecordKind::kText)) != kinds.end();
  if (has_text) text += fmt::format("; text is divided by {} (--documents)", state_->documents);
  if (parquet < 0) return text;
  const Result<std::shared_ptr<const OpenedFile>> opened = state_->files->Open(parquet);
  if (!opened.ok() || !(*opened)->parquet) return text;
  std::vector<std::string> columns;
  for (const ParquetFile::Column& column : (*opened)->parquet->columns()) {
    columns.push_back(fmt::format("{} ({})", column.name, column.type));
  }
  return fmt::format("{}; columns: {}", text, fmt::join(columns, ", "));
}

Record Records::operator[](int64_t i) const {
  const LoadedBlock::Entry& entry = entries_[static_cast<size_t>(i)];
  return {.text = entry.text,
          .is_json = entry.kind != RecordKind::kText,
          .unread_bytes = entry.unread_bytes};
}

std::string Records::Location(int64_t i) const {
  const LoadedBlock::Entry& entry = entries_[static_cast<size_t>(i)];
  return fmt::format("{}:{}{}", files_->file(entry.file).address,
                     entry.kind == RecordKind::kParquet ? " row " : "", entry.line);
}

}  // namespace thresher
