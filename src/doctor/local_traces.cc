#include "doctor/local_traces.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace thresher {

LocalTraces::LocalTraces(std::string_view url, std::string_view folder) {
  constexpr std::string_view kScheme = "file://";
  if (!url.starts_with(kScheme)) return;
  const std::filesystem::path root(url.substr(kScheme.size()));
  folder_ = (root / folder).string();
  std::error_code error;
  for (std::filesystem::path path = root; !std::filesystem::exists(path, error) && !error;
       path = path.parent_path()) {
    created_.push_back(path.string());
    if (path == path.parent_path()) break;
  }
}

// std::filesystem::remove takes away a folder only if it is empty.
void LocalTraces::Remove() const {
  if (folder_.empty()) return;
  std::error_code ignored;
  std::vector<std::string> folders = {folder_};
  for (std::filesystem::recursive_directory_iterator entry(folder_, ignored), end; entry != end;
       entry.increment(ignored)) {
    if (ignored) break;
    if (entry->is_directory(ignored)) folders.push_back(entry->path().string());
  }
  // A folder's path is shorter than the paths below it.
  std::sort(folders.begin(), folders.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  folders.insert(folders.end(), created_.begin(), created_.end());
  for (const std::string& path : folders) std::filesystem::remove(path, ignored);
}

}  // namespace thresher
