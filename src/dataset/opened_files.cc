#include "dataset/opened_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "dataset/file_format.h"
#include "dataset/file_source.h"
#include "dataset/store_source.h"
#include "dataset/unpack.h"

namespace thresher {
namespace {

// Of the row groups of one file in a store.
constexpr int64_t kCachedBytes = int64_t{256} << 20;

// What makes a packed file this one and no other.
std::string PackedIdentity(const DataFile& file) {
  std::error_code ignored;
  const std::string place =
      file.store ? file.address : std::filesystem::absolute(file.path, ignored).string();
  return fmt::format("{}\n{}\n{}", place, file.bytes, file.modified_ms);
}

Result<std::shared_ptr<const ByteSource>> SourceOf(const DataFile& file) {
  if (file.store) {
    return std::shared_ptr<const ByteSource>(
        std::make_shared<StoreSource>(file.store, file.path, file.address, file.bytes));
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const ByteSource> source,
                   FileSource::Open(file.path, file.address));
  return source;
}

RecordKind KindOf(FileFormat::Content content) {
  switch (content) {
    case FileFormat::Content::kText:
      return RecordKind::kText;
    case FileFormat::Content::kParquet:
      return RecordKind::kParquet;
    case FileFormat::Content::kJsonLines:
    case FileFormat::Content::kJson:
      break;
  }
  return RecordKind::kJsonLines;
}

Status UnknownFormat(const DataFile& file) {
  return InvalidArgument(
      fmt::format("{}: neither its name nor its first bytes say what it is; known are {}",
                  file.address, KnownFormats()));
}

}  // namespace

Result<std::shared_ptr<const OpenedFile>> OpenedFiles::Open(int32_t index) const {
  Slot& slot = slots_[static_cast<size_t>(index)];
  std::lock_guard lock(slot.mutex);
  if (!slot.opened) {
    ASSIGN_OR_RETURN(slot.opened, OpenNew(file(index)));
  }
  return slot.opened;
}

Result<std::shared_ptr<const ByteSource>> OpenedFiles::UnpackFile(
    std::shared_ptr<const ByteSource> source, const DataFile& file, Compression compression) const {
  if (compression == Compression::kNone || source->bytes() == 0) return source;
  const UnpackOptions options = {
      .cache_folder = options_.cache_folder.empty() ? DefaultCacheFolder() : options_.cache_folder,
      .max_bytes = options_.max_unpacked_bytes,
      .events = options_.events};
  ASSIGN_OR_RETURN(const std::string path,
                   Unpack(*source, compression, PackedIdentity(file), options));
  ASSIGN_OR_RETURN(std::shared_ptr<const ByteSource> unpacked,
                   FileSource::Open(path, file.address));
  return unpacked;
}

Status OpenedFiles::OpenParquet(const DataFile& file, OpenedFile& opened) const {
  if (file.store) {
    opened.source = std::make_shared<CachingSource>(std::move(opened.source), kCachedBytes);
  }
  ASSIGN_OR_RETURN(ParquetFile parquet, ParquetFile::Open(opened.source, options_.columns));
  const std::vector<std::string>& wanted = options_.columns;
  const auto is_wanted = [&](const ParquetFile::Column& column) {
    return std::ranges::find(wanted, column.name) != wanted.end();
  };
  if (!wanted.empty() && std::ranges::none_of(parquet.columns(), is_wanted)) {
    std::vector<std::string> found;
    for (const ParquetFile::Column& column : parquet.columns()) {
      found.push_back(fmt::format("{} ({})", column.name, column.type));
    }
    return InvalidArgument(
        fmt::format("{}: has no column {}; its columns are {} (--column names the one to read)",
                    file.address, fmt::join(wanted, " or "), fmt::join(found, ", ")));
  }
  opened.parquet = std::make_shared<const ParquetFile>(std::move(parquet));
  return OkStatus();
}

Result<std::shared_ptr<const OpenedFile>> OpenedFiles::OpenNew(const DataFile& file) const {
  OpenedFile opened;
  ASSIGN_OR_RETURN(opened.source, SourceOf(file));
  std::optional<FileFormat> format = FormatOfName(file.name);
  if (!format) {
    ASSIGN_OR_RETURN(format, FormatOfContent(*opened.source));
    if (!format && opened.source->bytes() > 0) return UnknownFormat(file);
    if (!format) format = FileFormat{.content = FileFormat::Content::kJsonLines};
  }
  ASSIGN_OR_RETURN(opened.source, UnpackFile(std::move(opened.source), file, format->compression));
  if (!format->content) {
    ASSIGN_OR_RETURN(const std::optional<FileFormat> inner, FormatOfContent(*opened.source));
    if (!inner || inner->content != FileFormat::Content::kJson) return UnknownFormat(file);
    format->content = inner->content;
  }
  RETURN_IF_ERROR(CheckContent(*opened.source, *format->content));
  opened.kind = KindOf(*format->content);
  if (format->content == FileFormat::Content::kJson) {
    ASSIGN_OR_RETURN(opened.kind, KindOfJson(*opened.source));
  }
  if (opened.kind == RecordKind::kParquet) RETURN_IF_ERROR(OpenParquet(file, opened));
  return std::make_shared<const OpenedFile>(std::move(opened));
}

}  // namespace thresher
