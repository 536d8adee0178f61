#include "files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/check.h"

namespace thresher {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  THRESHER_CHECK(in.good());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  out.flush();
  THRESHER_CHECK(out.good());
}

std::vector<std::string> FilesBelow(const std::string& folder) {
  std::vector<std::string> paths;
  if (!std::filesystem::is_directory(folder)) return paths;
  // Files may come and go while they are listed.
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::recursive_directory_iterator();
       entry.increment(error)) {
    std::error_code vanished;
    if (!entry->is_regular_file(vanished)) continue;
    paths.push_back(entry->path().lexically_relative(folder).string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string SourcePath(const std::string& name) {
  return std::string(THRESHER_SOURCE_DIR) + "/" + name;
}

std::string GoldenModel(const std::string& name) { return SourcePath("tests/data/golden/" + name); }

}  // namespace thresher
