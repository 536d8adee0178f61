#ifndef THRESHER_STORE_TEMPORARY_FOLDER_FOR_TEST_H_
#define THRESHER_STORE_TEMPORARY_FOLDER_FOR_TEST_H_

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "base/check.h"

namespace thresher {

// An empty folder that is removed, with all that is in it, in the end.
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

 private:
  std::string path_;
};

}  // namespace thresher

#endif  // THRESHER_STORE_TEMPORARY_FOLDER_FOR_TEST_H_
