#include "dataset/unpack.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "base/random.h"
#include "dataset/decompressor.h"
#include "dataset/record_hash.h"
#include "store/cloud_settings.h"
#include "store/posix_file.h"
#include "store/store.h"

namespace thresher {
namespace {

constexpr int64_t kStepBytes = int64_t{8} << 20;
constexpr int64_t kAlwaysAllowedBytes = int64_t{1} << 30;
// More than gzip reaches with text of one character.
constexpr int64_t kMaxRatio = 1000;

// Removes the file unless it was renamed.
class TemporaryFile {
 public:
  static Result<TemporaryFile> Create(std::string path) {
    FileDescriptor file = OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (!file.valid()) return FileError(errno, "create", path);
    return TemporaryFile(std::move(path), std::move(file));
  }
  TemporaryFile(TemporaryFile&& other) noexcept
      : path_(std::exchange(other.path_, {})), file_(std::move(other.file_)) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) (void)unlink(path_.c_str());
  }

  Status Write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = write(file_.number(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return FileError(errno, "write", path_);
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
    return OkStatus();
  }

  Status FinishAs(const std::string& path) {
    if (fsync(file_.number()) != 0) return FileError(errno, "fsync", path_);
    if (!file_.Close()) return FileError(errno, "close", path_);
    if (rename(path_.c_str(), path.c_str()) != 0) return FileError(errno, "rename", path_);
    path_.clear();
    return OkStatus();
  }

 private:
  TemporaryFile(std::string path, FileDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  FileDescriptor file_;
};

Status CheckSize(const ByteSource& source, int64_t packed, int64_t unpacked, int64_t max_bytes) {
  if (unpacked > max_bytes) {
    return InvalidArgument(fmt::format("{}: unpacks to more than {}, the most that is allowed",
                                       source.name(), FormatBytes(static_cast<double>(max_bytes))));
  }
  if (unpacked > kAlwaysAllowedBytes && unpacked / kMaxRatio > packed) {
    return InvalidArgument(fmt::format(
        "{}: its first {} bytes unpack to more than {} times as many: no data set does; if this "
        "one is genuine, unpack it yourself",
        source.name(), packed, kMaxRatio));
  }
  return OkStatus();
}

Status UnpackTo(TemporaryFile& file, const ByteSource& source, Compression compression,
                const UnpackOptions& options) {
  const std::unique_ptr<Decompressor> decompressor = Decompressor::New(compression);
  std::vector<std::byte> packed(static_cast<size_t>(std::min(kStepBytes, source.bytes())));
  int64_t unpacked = 0;
  int64_t offset = 0;
  const auto write_piece = [&](std::span<const std::byte> piece) -> Status {
    unpacked += static_cast<int64_t>(piece.size());
    RETURN_IF_ERROR(CheckSize(source, offset, unpacked, options.max_bytes));
    Status status = file.Write(piece);
    if (status.code() != Code::kResourceExhausted) return status;
    return ResourceExhausted(fmt::format(
        "{}: after {} unpacked, the disk of {} is full; free some of it, or give another folder "
        "with THRESHER_CACHE",
        source.name(), FormatBytes(static_cast<double>(unpacked)), options.cache_folder));
  };
  while (offset < source.bytes()) {
    const std::span<std::byte> piece =
        std::span(packed).first(static_cast<size_t>(std::min(kStepBytes, source.bytes() - offset)));
    RETURN_IF_ERROR(source.Read(offset, piece));
    const int64_t begin = offset;
    offset += static_cast<int64_t>(piece.size());
    const Status status = decompressor->Add(piece, write_piece);
    if (status.code() == Code::kDataLoss) {
      return status.WithContext(
          fmt::format("{}, bytes {}-{} of the packed file", source.name(), begin, offset - 1));
    }
    RETURN_IF_ERROR(status);
  }
  return decompressor->Finish().WithContext(
      fmt::format("{} ends too early, at byte {}", source.name(), offset));
}

bool Exists(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

// Held until the descriptor is closed, also by the death of the process.
Result<FileDescriptor> Lock(const std::string& path, const std::string& name,
                            const Events& events) {
  FileDescriptor file = OpenFile(path, O_RDWR | O_CREAT, 0666);
  if (!file.valid()) return FileError(errno, "create", path);
  if (flock(file.number(), LOCK_EX | LOCK_NB) == 0) return file;
  if (events) events("waiting for another worker on this machine to unpack " + name);
  while (flock(file.number(), LOCK_EX) != 0) {
    if (errno != EINTR) return FileError(errno, "lock", path);
  }
  return file;
}

// "train" of "data/train.jsonl.gz".
std::string Stem(std::string_view name) {
  name = name.substr(name.rfind('/') + 1);
  return std::string(name.substr(0, std::min<size_t>(name.find('.'), 80)));
}

}  // namespace

std::string DefaultCacheFolder() {
  if (std::string folder = ProcessEnvironment("THRESHER_CACHE"); !folder.empty()) return folder;
  if (const std::string folder = ProcessEnvironment("XDG_CACHE_HOME"); !folder.empty()) {
    return folder + "/thresher";
  }
  if (const std::string folder = ProcessEnvironment("HOME"); !folder.empty()) {
    return folder + "/.cache/thresher";
  }
  return "/tmp/thresher-cache";
}

Result<std::string> Unpack(const ByteSource& source, Compression compression,
                           const std::string& identity, const UnpackOptions& options) {
  const std::string folder = options.cache_folder + "/unpacked";
  const RecordHash hash = HashOf(identity);
  const std::string path =
      fmt::format("{}/{:016x}{:016x}-{}", folder, hash.high, hash.low, Stem(source.name()));
  if (Exists(path)) return path;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return ErrnoStatus(error.value(), "create folder " + folder);
  ASSIGN_OR_RETURN(const FileDescriptor lock, Lock(path + ".lock", source.name(), options.events));
  if (Exists(path)) return path;
  if (options.events) options.events("unpacking " + source.name());
  ASSIGN_OR_RETURN(
      TemporaryFile file,
      TemporaryFile::Create(fmt::format("{}/{}{}", folder, kReservedKeyPrefix, RandomSessionId())));
  RETURN_IF_ERROR(UnpackTo(file, source, compression, options));
  RETURN_IF_ERROR(file.FinishAs(path));
  RETURN_IF_ERROR(SyncFolder(folder));
  return path;
}

}  // namespace thresher
