#include "cli/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/random.h"

namespace thresher {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

bool IsSpecial(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

}  // namespace

Result<OutputFile> OutputFile::Create(const std::string& path) {
  if (path == "-") {
    FileDescriptor file(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    if (!file.valid()) return FileError(errno, "cannot write", "the standard output");
    return OutputFile("the standard output", "", std::move(file));
  }
  struct stat status {};
  if (path.empty() || (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))) {
    return InvalidArgument("cannot write \"" + path + "\": expected the name of a file");
  }
  const bool special = IsSpecial(path);
  const std::string temporary = special ? "" : path + ".tmp-" + RandomSessionId();
  const std::string& name = special ? path : temporary;
  FileDescriptor file = OpenFile(name, special ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (!file.valid()) return FileError(errno, "cannot create", name);
  return OutputFile(path, temporary, std::move(file));
}

OutputFile::OutputFile(std::string path, std::string temporary_path, FileDescriptor file)
    : path_(std::move(path)), temporary_path_(std::move(temporary_path)), file_(std::move(file)) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_path_(std::exchange(other.temporary_path_, "")),
      file_(std::move(other.file_)),
      buffer_(std::move(other.buffer_)) {}

OutputFile::~OutputFile() {
  if (!temporary_path_.empty()) unlink(temporary_path_.c_str());
}

Status OutputFile::Write(std::string_view bytes) {
  buffer_ += bytes;
  return buffer_.size() < kBufferBytes ? OkStatus() : Flush();
}

Status OutputFile::Flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = write(file_.number(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, "cannot write", path_);
    rest.remove_prefix(static_cast<size_t>(written));
  }
  buffer_.clear();
  return OkStatus();
}

Status OutputFile::Commit(bool durable) {
  RETURN_IF_ERROR(Flush());
  const bool temporary = !temporary_path_.empty();
  if (temporary && durable && fsync(file_.number()) != 0) {
    return FileError(errno, "cannot write", path_);
  }
  if (!file_.Close()) return FileError(errno, "cannot write", path_);
  if (!temporary) return OkStatus();
  if (rename(temporary_path_.c_str(), path_.c_str()) != 0) {
    return FileError(errno, "cannot create", path_);
  }
  temporary_path_.clear();
  return durable ? SyncFolder(FolderOf(path_)) : OkStatus();
}

Status SyncFileSystem(const std::string& folder) {
  const FileDescriptor file = OpenFile(folder, O_RDONLY | O_DIRECTORY);
  if (!file.valid() || syncfs(file.number()) != 0) return FileError(errno, "cannot sync", folder);
  return OkStatus();
}

}  // namespace thresher
