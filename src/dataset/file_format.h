#ifndef THRESHER_DATASET_FILE_FORMAT_H_
#define THRESHER_DATASET_FILE_FORMAT_H_

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dataset/byte_source.h"
#include "dataset/record_scanner.h"

namespace thresher {

enum class Compression { kNone, kGzip, kZstd };

// What a file holds, as far as its name tells.
struct FileFormat {
  enum class Content { kJsonLines, kJson, kText, kParquet };

  Compression compression = Compression::kNone;
  std::optional<Content> content;  // nothing: look at the bytes
};

// From the extension: .jsonl .ndjson .json .txt .text .md .parquet, then maybe .gz or .zst (also
// .gzip, .zstd; not behind .parquet); in any case. Nothing if it is none of these.
std::optional<FileFormat> FormatOfName(std::string_view name);

// True for names that no folder of data means as data: hidden ones ("." first, in any part of the
// path), README, LICENSE and the like, and what the libraries of Hugging Face write beside data
// (dataset_info.json, state.json, ...).
bool IsPassedOver(std::string_view name);

// What the file's first bytes say: Parquet, gzip, zstd, or JSON Lines if it begins with '{'.
// Nothing if they say none of these.
Result<std::optional<FileFormat>> FormatOfContent(const ByteSource& source);

// kInvalidArgument if an uncompressed file's first bytes are those of another format than its
// name's. `source`: unpacked.
Status CheckContent(const ByteSource& source, FileFormat::Content content);

// How the records of a .json file lie in it: an array, one a line, or objects on many lines. Looks
// at the file's beginning. `source`: unpacked.
Result<RecordKind> KindOfJson(const ByteSource& source);

// "JSONL (.jsonl, ...), ...": for messages.
std::string_view KnownFormats();

}  // namespace thresher

#endif  // THRESHER_DATASET_FILE_FORMAT_H_
