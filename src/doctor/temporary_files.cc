#include "doctor/temporary_files.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "store/local_list.h"

namespace thresher {
namespace {

std::optional<std::string> FolderOf(std::string_view url) {
  constexpr std::string_view kScheme = "file://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  return std::string(url.substr(kScheme.size()));
}

}  // namespace

std::vector<Leftover> FindTemporaryFiles(std::string_view url, int64_t before_ms) {
  std::vector<Leftover> files;
  const std::optional<std::string> folder = FolderOf(url);
  if (!folder) return files;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(*folder, error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string path = entry->path().string();
    struct stat info;
    if (!entry->path().filename().string().starts_with(kReservedKeyPrefix) ||
        lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) ||
        ModifiedMs(info) >= before_ms) {
      continue;
    }
    files.push_back({.kind = LeftoverKind::kTemporary,
                     .key = path.substr(folder->size() + 1),
                     .bytes = static_cast<int64_t>(info.st_size),
                     .modified_ms = ModifiedMs(info),
                     .why = "a writer was killed"});
  }
  return files;
}

Status RemoveTemporaryFile(std::string_view url, const Leftover& file) {
  const std::string path = *FolderOf(url) + "/" + file.key;
  struct stat info;
  // Somebody writes it after all.
  if (lstat(path.c_str(), &info) == 0 && ModifiedMs(info) != file.modified_ms) return OkStatus();
  if (std::remove(path.c_str()) == 0 || errno == ENOENT) return OkStatus();
  return ErrnoStatus(errno, "remove " + path);
}

}  // namespace thresher
