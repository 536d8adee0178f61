#ifndef THRESHER_BASE_TEMPORARY_FOLDER_FOR_TEST_H_
#define THRESHER_BASE_TEMPORARY_FOLDER_FOR_TEST_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "base/check.h"

namespace thresher {

// A whole file's bytes; the file must exist.
inline std::string ReadFileForTest(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  THRESHER_CHECK(in.good());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// An empty folder for one test, removed in the end with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string path = (std::filesystem::temp_directory_path() / "thresher-test-XXXXXX").string();
    THRESHER_CHECK(mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }

  std::string Read(const std::string& name) const { return ReadFileForTest(PathOf(name)); }

  // Writes the file and returns its path.
  std::string Write(const std::string& name, const std::string& bytes) const {
    const std::string path = PathOf(name);
    std::ofstream out(path, std::ios::binary);
    out << bytes;
    out.close();
    THRESHER_CHECK(out.good());
    return path;
  }

 private:
  std::string path_;
};

}  // namespace thresher

#endif  // THRESHER_BASE_TEMPORARY_FOLDER_FOR_TEST_H_
