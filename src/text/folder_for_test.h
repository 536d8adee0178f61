#ifndef THRESHER_TEXT_FOLDER_FOR_TEST_H_
#define THRESHER_TEXT_FOLDER_FOR_TEST_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/check.h"

namespace thresher {

// tests/data/tokenizers/NAME of this repository.
inline std::string TokenizerDataPath(const std::string& name) {
  const std::filesystem::path here(__FILE__);
  return here.parent_path().parent_path().parent_path() / "tests" / "data" / "tokenizers" / name;
}

inline std::string ReadFileForTest(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  THRESHER_CHECK(in.good());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// A folder of its own for one test, removed at the end.
class FolderForTest {
 public:
  FolderForTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "thresher-XXXXXX";
    THRESHER_CHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  FolderForTest(const FolderForTest&) = delete;
  FolderForTest& operator=(const FolderForTest&) = delete;
  ~FolderForTest() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }

  // Writes the file and returns its path.
  std::string Write(const std::string& name, const std::string& bytes) const {
    const std::string path = path_ + "/" + name;
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

#endif  // THRESHER_TEXT_FOLDER_FOR_TEST_H_
