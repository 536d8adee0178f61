#include "store/local_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/check.h"
#include "store/posix_file.h"

namespace thresher {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

class Lister {
 public:
  Lister(std::string_view prefix, std::string_view start_after, int64_t limit)
      : prefix_(prefix), start_after_(start_after), limit_(limit) {}

  // Adds the files below `path`, whose keys begin with `base` ("" or "a/b/").
  Status AddFolder(const std::string& path, const std::string& base);

  ListPage TakePage() { return std::move(page_); }

 private:
  // One name in a folder: a file's key, or the key of a folder with '/' behind it. In the byte
  // order of these, depth first, the files come in the byte order of their keys.
  using Entries = std::vector<std::string>;

  Result<Entries> ReadEntries(DIR* folder, const std::string& path, const std::string& base);
  bool FileMatches(std::string_view key) const {
    return key.starts_with(prefix_) && key > start_after_;
  }
  bool FolderMayMatch(std::string_view base) const {
    const bool may_have_prefix = base.starts_with(prefix_) || prefix_.starts_with(base);
    return may_have_prefix && (base > start_after_ || start_after_.starts_with(base));
  }
  Status AddFile(DIR* folder, const std::string& name, const std::string& path, std::string key);

  const std::string_view prefix_;
  const std::string_view start_after_;
  const int64_t limit_;
  ListPage page_;
};

// Whether errno of a failed look-up says that the thing is not there (any more).
bool IsGone(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

// The file type bits of an entry (S_IFREG, S_IFDIR, ...), 0 if it has vanished.
mode_t TypeOf(DIR* folder, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return DTTOIF(entry.d_type);
  struct stat info;
  if (fstatat(dirfd(folder), entry.d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  return info.st_mode & S_IFMT;
}

Result<Lister::Entries> Lister::ReadEntries(DIR* folder, const std::string& path,
                                            const std::string& base) {
  Entries entries;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(folder);
    if (entry == nullptr) {
      if (errno != 0 && !IsGone(errno)) return FileError(errno, "read folder", path);
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || name.starts_with(kReservedKeyPrefix)) continue;
    std::string key = base;
    key += name;
    const mode_t type = TypeOf(folder, *entry);
    if (type == S_IFDIR) key += '/';
    const bool wanted =
        (type == S_IFREG && FileMatches(key)) || (type == S_IFDIR && FolderMayMatch(key));
    if (wanted) entries.push_back(std::move(key));
  }
  std::sort(entries.begin(), entries.end());
  // A folder that changes while it is read may name an entry twice.
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  return entries;
}

Status Lister::AddFile(DIR* folder, const std::string& name, const std::string& path,
                       std::string key) {
  struct stat info;
  if (fstatat(dirfd(folder), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return IsGone(errno) ? OkStatus() : FileError(errno, "stat", path + "/" + name);
  }
  if (!S_ISREG(info.st_mode)) return OkStatus();
  if (static_cast<int64_t>(page_.objects.size()) == limit_) {
    page_.more = true;
    return OkStatus();
  }
  page_.objects.push_back({.key = std::move(key),
                           .bytes = static_cast<int64_t>(info.st_size),
                           .modified_ms = ModifiedMs(info)});
  return OkStatus();
}

Status Lister::AddFolder(const std::string& path, const std::string& base) {
  const Folder folder(opendir(path.c_str()));
  if (folder == nullptr) {
    return IsGone(errno) ? OkStatus() : FileError(errno, "open folder", path);
  }
  ASSIGN_OR_RETURN(Entries entries, ReadEntries(folder.get(), path, base));
  for (std::string& key : entries) {
    if (page_.more) break;
    std::string name = key.substr(base.size());
    if (name.ends_with('/')) {
      name.pop_back();
      RETURN_IF_ERROR(AddFolder(fmt::format("{}/{}", path, name), key));
    } else {
      RETURN_IF_ERROR(AddFile(folder.get(), name, path, std::move(key)));
    }
  }
  return OkStatus();
}

}  // namespace

int64_t ModifiedMs(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
}

Result<ListPage> ListFiles(const std::string& root, std::string_view prefix,
                           std::string_view start_after, int64_t limit) {
  THRESHER_CHECK(limit > 0);
  // Begins in the deepest folder that holds every matching key.
  const size_t slash = prefix.rfind('/');
  std::string path = root;
  std::string base;
  if (slash != std::string_view::npos) {
    // A prefix that no key can have ("../", "a//b") must not lead out of the root.
    if (!CheckKey(prefix.substr(0, slash)).ok()) return ListPage();
    base = prefix.substr(0, slash + 1);
    path += "/" + std::string(prefix.substr(0, slash));
  }
  Lister lister(prefix, start_after, limit);
  RETURN_IF_ERROR(lister.AddFolder(path, base));
  return lister.TakePage();
}

}  // namespace thresher
