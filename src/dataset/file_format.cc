#include "dataset/file_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "base/json.h"
#include "dataset/window_reader.h"

namespace thresher {
namespace {

using Content = FileFormat::Content;

constexpr std::string_view kParquetMagic = "PAR1";
constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
constexpr std::string_view kWhiteSpace = " \t\r\n";

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

bool TakeSuffix(std::string_view& name, std::initializer_list<std::string_view> suffixes) {
  for (const std::string_view suffix : suffixes) {
    if (!name.ends_with(suffix)) continue;
    name.remove_suffix(suffix.size());
    return true;
  }
  return false;
}

// The first bytes of the file.
Result<std::vector<char>> Head(const ByteSource& source, int64_t bytes) {
  std::vector<char> head(static_cast<size_t>(std::min(bytes, source.bytes())));
  RETURN_IF_ERROR(source.Read(0, std::as_writable_bytes(std::span(head))));
  return head;
}

std::string_view TextOf(const std::vector<char>& head) {
  std::string_view text(head.data(), head.size());
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

constexpr int64_t kHeadBytes = 4096;

}  // namespace

std::optional<FileFormat> FormatOfName(std::string_view name) {
  const std::string lower = LowerCase(name.substr(name.rfind('/') + 1));
  std::string_view rest = lower;
  FileFormat format;
  if (TakeSuffix(rest, {".gz", ".gzip"})) {
    format.compression = Compression::kGzip;
  } else if (TakeSuffix(rest, {".zst", ".zstd"})) {
    format.compression = Compression::kZstd;
  }
  if (TakeSuffix(rest, {".jsonl", ".ndjson"})) {
    format.content = Content::kJsonLines;
  } else if (TakeSuffix(rest, {".json"})) {
    format.content = Content::kJson;
  } else if (TakeSuffix(rest, {".txt", ".text", ".md"})) {
    format.content = Content::kText;
  } else if (TakeSuffix(rest, {".parquet"})) {
    format.content = Content::kParquet;
    if (format.compression != Compression::kNone) return std::nullopt;
  } else if (format.compression == Compression::kNone) {
    return std::nullopt;
  }
  return format;
}

bool IsPassedOver(std::string_view name) {
  if (name.starts_with('.') || name.find("/.") != name.npos) return true;
  const std::string last = LowerCase(name.substr(name.rfind('/') + 1));
  constexpr std::array kNames = {"dataset_info.json", "dataset_infos.json", "dataset_metadata.json",
                                 "dataset_dict.json", "state.json",         "manifest.json",
                                 "croissant.json",    "requirements.txt"};
  if (std::ranges::find(kNames, last) != kNames.end()) return true;
  constexpr std::array kStems = {"readme", "license", "licence", "notice", "changelog", "citation"};
  return std::ranges::find(kStems, std::string_view(last).substr(0, last.find('.'))) !=
         kStems.end();
}

Result<std::optional<FileFormat>> FormatOfContent(const ByteSource& source) {
  ASSIGN_OR_RETURN(const std::vector<char> bytes, Head(source, kHeadBytes));
  const std::string_view text = TextOf(bytes);
  std::optional<FileFormat> format;
  if (text.starts_with(kParquetMagic)) {
    format = FileFormat{.compression = Compression::kNone, .content = Content::kParquet};
  } else if (text.starts_with(kGzipMagic)) {
    format = FileFormat{.compression = Compression::kGzip, .content = std::nullopt};
  } else if (text.starts_with(kZstdMagic)) {
    format = FileFormat{.compression = Compression::kZstd, .content = std::nullopt};
  } else if (const size_t first = text.find_first_not_of(kWhiteSpace);
             first != text.npos && (text[first] == '{' || text[first] == '[')) {
    format = FileFormat{.compression = Compression::kNone, .content = Content::kJson};
  }
  return format;
}

Status CheckContent(const ByteSource& source, Content content) {
  if (content == Content::kParquet) return OkStatus();  // its reader says what is wrong
  ASSIGN_OR_RETURN(const std::optional<FileFormat> found, FormatOfContent(source));
  if (!found || found->content == Content::kJson) return OkStatus();
  const char* what = found->compression == Compression::kGzip   ? "gzip; call it .gz"
                     : found->compression == Compression::kZstd ? "zstd; call it .zst"
                                                                : "Parquet; call it .parquet";
  return InvalidArgument(fmt::format("{}: by its name it is {}, by its first bytes {}",
                                     source.name(), content == Content::kText ? "text" : "JSON",
                                     what));
}

Result<RecordKind> KindOfJson(const ByteSource& source) {
  // A record of usual size, so that its first line is seen whole.
  ASSIGN_OR_RETURN(const std::vector<char> bytes, Head(source, int64_t{1} << 20));
  const std::string_view head = TextOf(bytes);
  const size_t first = head.find_first_not_of(kWhiteSpace);
  if (first == head.npos) return RecordKind::kJsonLines;
  if (head[first] == '[') return RecordKind::kJsonArray;
  const std::string_view line = head.substr(first, head.find('\n', first) - first);
  // Whatever is wrong with a whole first line, an object that goes on in the next is not.
  if (line.size() == head.size() - first && source.bytes() > static_cast<int64_t>(bytes.size())) {
    return RecordKind::kJsonLines;
  }
  return ParseJson(line).ok() ? RecordKind::kJsonLines : RecordKind::kJsonValues;
}

std::string_view KnownFormats() {
  return "JSONL (.jsonl, .ndjson, .json), plain text (.txt, .text, .md), each also with .gz or "
         ".zst, and Parquet (.parquet)";
}

}  // namespace thresher
