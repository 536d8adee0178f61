#include "hub/blob_download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "base/digest.h"
#include "hub/hub_cache.h"
#include "store/posix_file.h"

namespace thresher {
namespace {

constexpr size_t kReadBytes = size_t{4} << 20;

Digest StartDigest(const HubFile& file) {
  if (!file.sha256.empty()) return Digest(Digest::Kind::kSha256);
  // Git hashes a blob with this in front: "blob SIZE" and a zero byte.
  const std::string head = fmt::format("blob {}", file.bytes);
  Digest digest(Digest::Kind::kSha1);
  digest.Update(std::as_bytes(std::span(head.c_str(), head.size() + 1)));
  return digest;
}

Status WriteAt(const FileDescriptor& file, const std::string& path, int64_t offset,
               std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(file.number(), bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(errno, "write", path);
    offset += count;
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return OkStatus();
}

// Runs the file's pieces: each thread takes the next one, fetches it, and writes it when all before
// it are written. So the file has no holes, the digest runs along, and no more than one piece for
// each thread is in memory.
class PieceWriter {
 public:
  PieceWriter(const BlobDownload& download, const BlobDownloadCalls& calls,
              const FileDescriptor& file, Digest& digest, int64_t start)
      : download_(download),
        calls_(calls),
        file_(file),
        digest_(digest),
        next_to_fetch_(start),
        next_to_write_(start) {}

  Status Run() {
    const int64_t missing = download_.file.bytes - next_to_fetch_;
    const int64_t pieces = (missing + download_.piece_bytes - 1) / download_.piece_bytes;
    const int64_t thread_count = std::min(download_.parallel_pieces, pieces);
    std::vector<std::thread> threads;
    for (int64_t index = 1; index < thread_count; ++index) {
      threads.emplace_back([this] { Work(); });
    }
    Work();
    for (std::thread& thread : threads) thread.join();
    return failure_;
  }

 private:
  void Work() {
    while (true) {
      std::unique_lock<std::mutex> lock(mutex_);
      if (!failure_.ok() || next_to_fetch_ >= download_.file.bytes) return;
      const int64_t first = next_to_fetch_;
      const int64_t count = std::min(download_.piece_bytes, download_.file.bytes - first);
      next_to_fetch_ += count;
      lock.unlock();
      const Result<std::string> bytes = calls_.fetch(first, count);
      lock.lock();
      // After a failure the pieces before it are still written: the next try begins behind them.
      changed_.wait(lock, [&] { return next_to_write_ == first || failed_at_ < first; });
      if (failed_at_ < first) return;
      Status status = bytes.status();
      if (status.ok()) {
        THRESHER_CHECK(static_cast<int64_t>(bytes->size()) == count);
        lock.unlock();
        status = Write(first, std::as_bytes(std::span(*bytes)));
        lock.lock();
      }
      if (status.ok()) {
        next_to_write_ += count;
        calls_.on_bytes(count);
      } else {
        failed_at_ = first;
        failure_ = status;
      }
      changed_.notify_all();
    }
  }

  // Only the thread whose turn it is comes here.
  Status Write(int64_t first, std::span<const std::byte> bytes) {
    RETURN_IF_ERROR(WriteAt(file_, download_.incomplete_path, first, bytes));
    digest_.Update(bytes);
    return OkStatus();
  }

  const BlobDownload& download_;
  const BlobDownloadCalls& calls_;
  const FileDescriptor& file_;
  Digest& digest_;

  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t next_to_fetch_;
  int64_t next_to_write_;
  int64_t failed_at_ = INT64_MAX;  // the piece whose failure is failure_
  Status failure_;
};

// Adds the first `bytes` of what is there already.
Status ReadBack(const FileDescriptor& file, const std::string& path, int64_t bytes,
                Digest& digest) {
  std::vector<std::byte> buffer(kReadBytes);
  for (int64_t offset = 0; offset < bytes;) {
    const auto wanted = std::min<int64_t>(kReadBytes, bytes - offset);
    ASSIGN_OR_RETURN(const size_t count,
                     ReadAt(file, path, offset, std::span(buffer).first(wanted)));
    if (count == 0) return DataLoss("\"" + path + "\" became shorter while it was read");
    digest.Update(std::span(buffer).first(count));
    offset += static_cast<int64_t>(count);
  }
  return OkStatus();
}

// One try. True if the file is whole and its hash right.
Result<bool> Fill(const BlobDownload& download, const BlobDownloadCalls& calls) {
  const std::string& path = download.incomplete_path;
  FileDescriptor file = OpenFile(path, O_RDWR | O_CREAT, 0644);
  if (!file.valid()) return FileError(errno, "create", path);
  int64_t start = FileBytes(path).value_or(0);
  if (start > download.file.bytes) {
    if (ftruncate(file.number(), 0) != 0) return FileError(errno, "cut", path);
    start = 0;
  }
  // Sets space aside, so that a full disk is found at once; not every file system can.
  const int64_t missing = download.file.bytes - start;
  if (missing > 0 && fallocate(file.number(), FALLOC_FL_KEEP_SIZE, start, missing) != 0 &&
      (errno == ENOSPC || errno == EDQUOT)) {
    return FileError(errno, "reserve space for", path)
        .WithContext(fmt::format("{} needs {} more", download.name,
                                 FormatBytes(static_cast<double>(missing))));
  }
  Digest digest = StartDigest(download.file);
  RETURN_IF_ERROR(ReadBack(file, path, start, digest));
  calls.on_bytes(start);
  RETURN_IF_ERROR(PieceWriter(download, calls, file, digest, start).Run());
  if (fsync(file.number()) != 0) return FileError(errno, "fsync", path);
  if (!file.Close()) return FileError(errno, "close", path);
  return digest.FinishHex() == download.file.hash();
}

Status MoveIntoPlace(const BlobDownload& download) {
  if (rename(download.incomplete_path.c_str(), download.path.c_str()) != 0) {
    // Where locks do not work, another process may have been quicker with the same bytes.
    if (errno == ENOENT && FileBytes(download.path) == download.file.bytes) return OkStatus();
    return FileError(errno, "rename to", download.path);
  }
  return SyncFolder(download.path.substr(0, download.path.rfind('/')));
}

}  // namespace

Status DownloadBlob(const BlobDownload& download, const BlobDownloadCalls& calls) {
  THRESHER_CHECK(download.piece_bytes > 0 && download.parallel_pieces > 0);
  constexpr int kTries = 2;
  for (int attempt = 1;; ++attempt) {
    const Result<bool> is_right = Fill(download, calls);
    if (!is_right.ok()) return is_right.status();
    if (*is_right) return MoveIntoPlace(download);
    (void)unlink(download.incomplete_path.c_str());
    calls.on_bytes(-download.file.bytes);
    const std::string what = fmt::format(
        "{}: the {} bytes that came do not have the hash {} that "
        "the hub lists",
        download.name, download.file.bytes, download.file.hash());
    if (attempt == kTries) {
      return DataLoss(what + fmt::format(", {} times: a proxy or mirror changes or mixes up files; "
                                         "try another HF_ENDPOINT",
                                         kTries));
    }
    calls.on_warning(what + "; fetching them again");
  }
}

}  // namespace thresher
