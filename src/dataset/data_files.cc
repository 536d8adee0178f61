#include "dataset/data_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/glob.h"
#include "base/scrub.h"
#include "dataset/file_format.h"
#include "store/cloud_url.h"
#include "store/local_list.h"

namespace thresher {
namespace {

constexpr std::string_view kFileScheme = "file://";
// Symbolic links can make a folder contain itself.
constexpr int kMaxFolderDepth = 32;
constexpr std::string_view kTemporaryPrefix = kReservedKeyPrefix;

std::string LastPart(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string Join(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  return fmt::format("{}{}{}", folder, folder.ends_with('/') ? "" : "/", name);
}

bool IsTemporary(std::string_view name) { return LastPart(name).starts_with(kTemporaryPrefix); }

// Which files of a folder are meant.
struct Selection {
  std::string pattern;  // empty: all whose extension is known

  bool Has(std::string_view name) const {
    if (IsPassedOver(name) || IsTemporary(name)) return false;
    return pattern.empty() ? FormatOfName(name).has_value() : MatchesGlob(pattern, name);
  }
};

Status NothingFound(const std::string& address, const Selection& selection) {
  if (!selection.pattern.empty()) {
    return NotFound(fmt::format("{}: no file fits this pattern", address));
  }
  return InvalidArgument(
      fmt::format("{}: no data files in this folder; known are {}", address, KnownFormats()));
}

std::optional<Status> NotARegularFile(const std::string& path, struct stat& info) {
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(info.st_mode)) return InvalidArgument(path + " is not a regular file");
  return std::nullopt;
}

DataFile LocalFile(std::string name, const std::string& path, const struct stat& info) {
  return {.name = std::move(name),
          .address = path,
          .path = path,
          .bytes = static_cast<int64_t>(info.st_size),
          .modified_ms = ModifiedMs(info),
          .store = nullptr};
}

// Adds the files below `folder`, whose own name below the data set's folder is `prefix`.
Status WalkFolder(const std::string& folder, const std::string& prefix, const Selection& selection,
                  int depth, std::vector<DataFile>& files) {
  if (depth > kMaxFolderDepth) {
    return InvalidArgument(
        fmt::format("{}: more than {} folders deep; does a symbolic link lead "
                    "back to a folder above it?",
                    folder, kMaxFolderDepth));
  }
  std::error_code error;
  std::filesystem::directory_iterator entry(folder.empty() ? "." : folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = Join(prefix, entry->path().filename().string());
    if (LastPart(name).starts_with('.')) continue;
    const std::string path = Join(folder, LastPart(name));
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
      // A link to nothing is an error only where it is meant as data.
      if (!selection.Has(name)) continue;
      return ErrnoStatus(errno, path);
    }
    if (S_ISDIR(info.st_mode)) {
      RETURN_IF_ERROR(WalkFolder(path, name, selection, depth + 1, files));
    } else if (S_ISREG(info.st_mode) && selection.Has(name)) {
      files.push_back(LocalFile(name, path, info));
    }
  }
  if (error) return ErrnoStatus(error.value(), folder);
  return OkStatus();
}

Result<std::vector<DataFile>> FindLocal(const std::string& address, const std::string& path) {
  struct stat info {};
  const bool exists = stat(path.c_str(), &info) == 0;
  const bool is_pattern = !exists && IsGlob(path);
  if (!is_pattern && (!exists || !S_ISDIR(info.st_mode))) return LocalDataFiles({path});
  Selection selection;
  std::string folder = path;
  if (is_pattern) {
    GlobParts parts = SplitGlob(path);
    selection.pattern = std::move(parts.pattern);
    folder = std::move(parts.folder);
  }
  std::vector<DataFile> files;
  RETURN_IF_ERROR(WalkFolder(folder, "", selection, 0, files));
  if (files.empty()) return NothingFound(address, selection);
  std::ranges::sort(files, {}, &DataFile::name);
  return files;
}

DataFile StoredFile(const std::shared_ptr<Store>& store, const std::string& folder,
                    const ObjectInfo& object) {
  return {.name = object.key,
          .address = Join(folder, object.key),
          .path = object.key,
          .bytes = object.bytes,
          .modified_ms = object.modified_ms,
          .store = store};
}

Result<std::vector<DataFile>> FindInFolder(const std::string& address, const std::string& folder,
                                           const Selection& selection, const StoreOpener& open,
                                           const StoreOptions& options) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Store> store, open(folder, options));
  // What the pattern's first part begins with is the same for all.
  const std::string_view pattern = selection.pattern;
  const std::string_view prefix = pattern.substr(0, pattern.find_first_of("*?["));
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(*store, prefix));
  std::vector<DataFile> files;
  for (const ObjectInfo& object : objects) {
    if (selection.Has(object.key)) files.push_back(StoredFile(store, folder, object));
  }
  if (files.empty()) return NothingFound(address, selection);
  return files;
}

Result<std::vector<DataFile>> FindInStore(const std::string& address, const StoreOpener& open,
                                          const StoreOptions& options) {
  const size_t bucket = address.find("://") + 3;
  if (IsGlob(address)) {
    GlobParts parts = SplitGlob(address);
    if (parts.folder.size() < bucket) {
      return InvalidArgument(fmt::format(
          "\"{}\": a pattern may only follow the bucket: gs://BUCKET/*.jsonl", address));
    }
    return FindInFolder(address, parts.folder, {.pattern = std::move(parts.pattern)}, open,
                        options);
  }
  const size_t slash = address.rfind('/');
  if (slash > bucket && slash + 1 < address.size()) {
    const std::string folder = address.substr(0, slash);
    ASSIGN_OR_RETURN(const std::shared_ptr<Store> store, open(folder, options));
    const Result<ObjectInfo> object = store->Stat(address.substr(slash + 1));
    if (object.ok()) return std::vector<DataFile>{StoredFile(store, folder, *object)};
    if (object.status().code() != Code::kNotFound) return object.status();
    if (FormatOfName(address)) return object.status().WithContext(address);
  }
  return FindInFolder(address, address.substr(0, address.find_last_not_of('/') + 1), {}, open,
                      options);
}

}  // namespace

Result<std::vector<DataFile>> FindDataFiles(const std::string& address, const StoreOpener& open,
                                            const StoreOptions& options) {
  if (address.empty()) return InvalidArgument("the data set has no address");
  if (IsCloudUrl(address)) return FindInStore(address, open, options);
  if (address.starts_with(kFileScheme)) {
    std::string path = address.substr(kFileScheme.size());
    if (path.starts_with('/')) return FindLocal(address, path);
    return InvalidArgument(fmt::format(
        "\"{}\": write file:///folder, with three slashes and an absolute path", address));
  }
  const size_t scheme_end = address.find("://");
  if (scheme_end != address.npos && address.substr(0, scheme_end).find('/') == address.npos) {
    return InvalidArgument(fmt::format(
        "\"{}\": data sets can be at gs://, s3://, az://, hf:// or file:// addresses, or a plain "
        "path",
        ScrubAddress(address)));
  }
  if (LooksLikeAnAddress(address)) {
    return InvalidArgument(fmt::format(
        "\"{}\": write two slashes after the colon for a store or a hub, or ./{} for a local file",
        ScrubAddress(address), ScrubAddress(address)));
  }
  return FindLocal(address, address);
}

Result<std::vector<DataFile>> LocalDataFiles(const std::vector<std::string>& paths) {
  if (paths.empty()) return InvalidArgument("the data set has no files");
  std::string folder = paths.front().substr(0, paths.front().rfind('/') + 1);
  for (const std::string& path : paths) {
    while (!path.starts_with(folder)) {
      folder.pop_back();
      folder.erase(folder.rfind('/') + 1);
    }
  }
  std::vector<DataFile> files;
  for (const std::string& path : paths) {
    struct stat info {};
    if (std::optional<Status> status = NotARegularFile(path, info)) return *std::move(status);
    files.push_back(LocalFile(path.substr(folder.size()), path, info));
  }
  return files;
}

}  // namespace thresher
