#include "store/local_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "store/local_list.h"
#include "store/posix_file.h"

namespace thresher {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Removes a name that is never listed; if that fails, it stays and does no harm.
class TemporaryName {
 public:
  explicit TemporaryName(std::string path) : path_(std::move(path)) {}
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;
  ~TemporaryName() {
    if (!path_.empty()) (void)unlink(path_.c_str());
  }

  const std::string& path() const { return path_; }
  // The name is to stay, or is gone already.
  void Release() { path_.clear(); }

 private:
  std::string path_;
};

bool IsFolder(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

CreateResult Unknown(Status status) { return {CreateOutcome::kUnknown, std::move(status)}; }

// Why link(2) failed, in words that say what to do.
Status LinkError(int error_number, const std::string& path) {
  Status status = FileError(error_number, "link", path);
  if (error_number != EPERM && error_number != EOPNOTSUPP) return status;
  return Status(status.code(), status.message() +
                                   " (does this file system have hard links? creating an object "
                                   "only if it is absent needs them)");
}

}  // namespace

LocalStore::LocalStore(std::string root) : root_(std::move(root)) {
  THRESHER_CHECK(root_.starts_with('/') && (root_ == "/" || !root_.ends_with('/')));
}

Result<LocalStore::Place> LocalStore::PlaceOf(std::string_view key) const {
  RETURN_IF_ERROR(CheckKey(key));
  std::string path = root_ == "/" ? "/" : root_ + "/";
  path += key;
  std::string folder = ParentOf(path);
  return Place{std::move(path), std::move(folder)};
}

Status LocalStore::NoSuchObject(std::string_view key) const {
  return NotFound(fmt::format("{} has no object \"{}\"", url(), key));
}

bool LocalStore::IsKnownFolder(const std::string& folder) {
  std::lock_guard lock(mutex_);
  return known_folders_.contains(folder);
}

Status LocalStore::MakeFolder(const std::string& folder) {
  if (folder == "/" || IsKnownFolder(folder)) return OkStatus();
  const std::string parent = ParentOf(folder);
  const bool is_below_root = folder.size() > root_.size();
  if (is_below_root) RETURN_IF_ERROR(MakeFolder(parent));

  int error = mkdir(folder.c_str(), 0777) == 0 ? 0 : errno;
  if (error == ENOENT && !is_below_root) {
    RETURN_IF_ERROR(MakeFolder(parent));
    error = mkdir(folder.c_str(), 0777) == 0 ? 0 : errno;
  }
  // mkdir of what is there answers EEXIST or, on a read-only file system, EROFS.
  const bool existed = error != 0 && IsFolder(folder);
  if (error == EEXIST && !existed) error = ENOTDIR;
  if (error != 0 && !existed) return FileError(error, "create folder", folder);

  // Below the root also for a folder that was there: whoever made it may not have come to this
  // step. The root's own parent may not be ours to read.
  if (is_below_root || !existed) RETURN_IF_ERROR(SyncFolder(parent));
  std::lock_guard lock(mutex_);
  known_folders_.insert(folder);
  return OkStatus();
}

Result<FileDescriptor> LocalStore::OpenTemporary(const std::string& folder,
                                                 const std::string& path) {
  RETURN_IF_ERROR(MakeFolder(folder));
  FileDescriptor file = OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (!file.valid()) return FileError(errno, "create", path);
  return file;
}

Result<std::string> LocalStore::WriteTemporary(const std::string& folder,
                                               std::span<const std::byte> bytes) {
  std::string path = folder == "/" ? "/" : folder + "/";
  path += kReservedKeyPrefix;
  path += RandomSessionId();
  Result<FileDescriptor> file = OpenTemporary(folder, path);
  if (!file.ok() && file.status().code() == Code::kNotFound) {
    // Somebody has removed a folder since it was known to be there.
    {
      std::lock_guard lock(mutex_);
      known_folders_.clear();
    }
    file = OpenTemporary(folder, path);
  }
  RETURN_IF_ERROR(file.status());
  TemporaryName temporary(path);
  RETURN_IF_ERROR(WriteAndSync(*file, path, bytes));
  if (!file->Close()) return FileError(errno, "close", path);
  temporary.Release();
  return path;
}

Status LocalStore::Put(std::string_view key, std::span<const std::byte> bytes) {
  ASSIGN_OR_RETURN(const Place place, PlaceOf(key));
  ASSIGN_OR_RETURN(std::string temporary_path, WriteTemporary(place.folder, bytes));
  TemporaryName temporary(std::move(temporary_path));
  if (rename(temporary.path().c_str(), place.path.c_str()) != 0) {
    return FileError(errno, "rename to", place.path);
  }
  temporary.Release();
  return SyncFolder(place.folder);
}

CreateResult LocalStore::CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) {
  const Result<Place> place = PlaceOf(key);
  if (!place.ok()) return Unknown(place.status());
  // Saves the writing where the answer is plain; only link() decides.
  struct stat info;
  if (lstat(place->path.c_str(), &info) == 0) {
    if (!S_ISDIR(info.st_mode)) return {CreateOutcome::kConflict, OkStatus()};
    return Unknown(FileError(EISDIR, "create", place->path));
  }
  Result<std::string> written = WriteTemporary(place->folder, bytes);
  if (!written.ok()) return Unknown(written.status());
  const TemporaryName temporary(std::move(written).value());
  if (link(temporary.path().c_str(), place->path.c_str()) != 0) {
    const int error = errno;
    // Over NFS the answer to a successful link may be lost and the repeated request refused; a
    // second name of our file shows it.
    const bool is_ours = lstat(temporary.path().c_str(), &info) == 0 && info.st_nlink > 1;
    if (!is_ours) {
      if (error == EEXIST && IsFolder(place->path)) {
        return Unknown(FileError(EISDIR, "create", place->path));
      }
      if (error == EEXIST) return {CreateOutcome::kConflict, OkStatus()};
      return Unknown(LinkError(error, place->path));
    }
  }
  if (Status status = SyncFolder(place->folder); !status.ok()) return Unknown(status);
  return {CreateOutcome::kWritten, OkStatus()};
}

Result<LocalStore::OpenObject> LocalStore::Open(std::string_view key) const {
  ASSIGN_OR_RETURN(const Place place, PlaceOf(key));
  // O_NONBLOCK: a named pipe of that name must not make us wait.
  FileDescriptor file = OpenFile(place.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file.valid()) {
    const bool is_absent = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    return is_absent ? NoSuchObject(key) : FileError(errno, "open", place.path);
  }
  struct stat info;
  if (fstat(file.number(), &info) != 0) return FileError(errno, "stat", place.path);
  if (!S_ISREG(info.st_mode)) return NoSuchObject(key);
  return OpenObject{
      .file = std::move(file), .path = place.path, .bytes = static_cast<int64_t>(info.st_size)};
}

// An object is replaced by renaming another file to its name, so an open file never changes.
Result<std::string> LocalStore::GetText(std::string_view key) {
  ASSIGN_OR_RETURN(const OpenObject object, Open(key));
  if (object.bytes > kMaxTextBytes) {
    return DataLoss(fmt::format("\"{}\" has {} bytes, which is too long for a text", object.path,
                                object.bytes));
  }
  std::string text(static_cast<size_t>(object.bytes), '\0');
  ASSIGN_OR_RETURN(const size_t count,
                   ReadAt(object.file, object.path, 0, std::as_writable_bytes(std::span(text))));
  if (count == text.size()) return text;
  return DataLoss(fmt::format("\"{}\" ends after {} of {} bytes", object.path, count, text.size()));
}

Status LocalStore::GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) {
  THRESHER_CHECK(offset >= 0);
  ASSIGN_OR_RETURN(const OpenObject object, Open(key));
  ASSIGN_OR_RETURN(const size_t count, ReadAt(object.file, object.path, offset, out));
  if (count == out.size() && offset <= object.bytes) return OkStatus();
  return DataLoss(fmt::format("\"{}\" has {} bytes; {} from offset {} were asked for", object.path,
                              object.bytes, out.size(), offset));
}

Result<ObjectInfo> LocalStore::Stat(std::string_view key) {
  ASSIGN_OR_RETURN(const Place place, PlaceOf(key));
  struct stat info;
  if (lstat(place.path.c_str(), &info) != 0) {
    const bool is_absent = errno == ENOENT || errno == ENOTDIR;
    return is_absent ? NoSuchObject(key) : FileError(errno, "stat", place.path);
  }
  if (!S_ISREG(info.st_mode)) return NoSuchObject(key);
  return ObjectInfo{.key = std::string(key),
                    .bytes = static_cast<int64_t>(info.st_size),
                    .modified_ms = ModifiedMs(info)};
}

Result<ListPage> LocalStore::List(std::string_view prefix, std::string_view start_after,
                                  int64_t limit) {
  return ListFiles(root_, prefix, start_after, limit);
}

Status LocalStore::Delete(std::string_view key) {
  ASSIGN_OR_RETURN(const Place place, PlaceOf(key));
  // Without fsync of the folder: an object that comes back after a power failure does no harm.
  if (unlink(place.path.c_str()) == 0) return OkStatus();
  // Linux answers EISDIR for a folder, which is no object.
  if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR) return OkStatus();
  return FileError(errno, "delete", place.path);
}

}  // namespace thresher
