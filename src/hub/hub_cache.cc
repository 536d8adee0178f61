#include "hub/hub_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <system_error>

#include "base/random.h"
#include "store/posix_file.h"

namespace thresher {
namespace {

Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return FileError(error.value(), "make folder", path);
  return OkStatus();
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::optional<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.good()) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return OkStatus();
  Status status = FileError(errno, "rename to", to);
  (void)unlink(from.c_str());
  return status;
}

std::string RepositoryFolder(const HubAddress& address) {
  std::string name = address.kind == HubKind::kModel ? "models--" : "datasets--";
  for (const char c : address.repository) {
    if (c == '/') {
      name += "--";
    } else {
      name += c;
    }
  }
  return name;
}

}  // namespace

HubCache::HubCache(const std::string& cache_folder, const HubAddress& address)
    : cache_folder_(cache_folder),
      name_(RepositoryFolder(address)),
      folder_(cache_folder + "/" + name_) {}

std::string HubCache::BlobPath(const std::string& hash) const { return folder_ + "/blobs/" + hash; }

std::string HubCache::IncompletePath(const std::string& hash) const {
  return BlobPath(hash) + ".incomplete";
}

std::string HubCache::LockPath(const std::string& hash) const {
  return cache_folder_ + "/.locks/" + name_ + "/" + hash + ".lock";
}

std::string HubCache::SnapshotFolder(const std::string& commit) const {
  return folder_ + "/snapshots/" + commit;
}

std::string HubCache::SnapshotPath(const std::string& commit, const std::string& path) const {
  return SnapshotFolder(commit) + "/" + path;
}

Status HubCache::MakeFolders() const {
  RETURN_IF_ERROR(MakeFolder(FolderOf(LockPath(""))));
  return MakeFolder(FolderOf(BlobPath("")));
}

std::string HubCache::TemporaryName() const { return folder_ + "/" + RandomSessionId() + ".tmp"; }

Status HubCache::WriteWhole(const std::string& path, const std::string& bytes) const {
  RETURN_IF_ERROR(MakeFolder(FolderOf(path)));
  const std::string temporary = TemporaryName();
  {
    FileDescriptor file = OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file.valid()) return FileError(errno, "create", temporary);
    Status status = WriteAndSync(file, temporary, std::as_bytes(std::span(bytes)));
    if (status.ok() && !file.Close()) status = FileError(errno, "close", temporary);
    if (!status.ok()) {
      (void)unlink(temporary.c_str());
      return status;
    }
  }
  return Rename(temporary, path);
}

std::optional<std::string> HubCache::ReadRef(const std::string& revision) const {
  std::optional<std::string> commit = ReadWhole(folder_ + "/refs/" + revision);
  if (!commit.has_value()) return std::nullopt;
  while (!commit->empty() && (commit->back() == '\n' || commit->back() == '\r')) commit->pop_back();
  if (!IsCommitHash(*commit)) return std::nullopt;
  return commit;
}

Status HubCache::WriteRef(const std::string& revision, const std::string& commit) const {
  if (revision == commit || ReadRef(revision) == commit) return OkStatus();
  return WriteWhole(folder_ + "/refs/" + revision, commit);
}

std::optional<HubTree> HubCache::ReadTree(const std::string& commit) const {
  const std::optional<std::string> json = ReadWhole(folder_ + "/trees/" + commit + ".json");
  if (!json.has_value()) return std::nullopt;
  Result<HubTree> tree = TreeFromJson(*json);
  if (!tree.ok()) return std::nullopt;
  return *std::move(tree);
}

Status HubCache::WriteTree(const std::string& commit, const HubTree& tree) const {
  return WriteWhole(folder_ + "/trees/" + commit + ".json", TreeToJson(tree));
}

Status HubCache::Link(const std::string& commit, const std::string& path,
                      const std::string& hash) const {
  const std::string link = SnapshotPath(commit, path);
  RETURN_IF_ERROR(MakeFolder(FolderOf(link)));
  std::string target = "../../blobs/" + hash;
  for (const char c : path) {
    if (c == '/') target.insert(0, "../");
  }
  const std::string temporary = TemporaryName();
  if (symlink(target.c_str(), temporary.c_str()) != 0) {
    const Status status = FileError(errno, "make a symbolic link", link);
    return Status(status.code(),
                  status.message() + "; set HF_HUB_CACHE to a folder that can hold them");
  }
  return Rename(temporary, link);
}

Status HubCache::MarkAbsent(const std::string& commit, const std::string& path) const {
  const std::string mark = folder_ + "/.no_exist/" + commit + "/" + path;
  return FileBytes(mark).has_value() ? OkStatus() : WriteWhole(mark, "");
}

std::vector<std::string> HubCache::SnapshotFiles(const std::string& commit) const {
  namespace fs = std::filesystem;
  const fs::path root = SnapshotFolder(commit);
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) paths.push_back(at->path().lexically_relative(root).string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::optional<int64_t> FileBytes(const std::string& path) {
  struct stat facts = {};
  if (stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::nullopt;
  return facts.st_size;
}

}  // namespace thresher
