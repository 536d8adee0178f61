#ifndef THRESHER_BASE_SOURCE_FOLDER_FOR_TEST_H_
#define THRESHER_BASE_SOURCE_FOLDER_FOR_TEST_H_

#include <filesystem>

#include "base/check.h"

namespace thresher {

// This repository's folder: the one above the test program that has tests/data, as the build
// folders of the presets lie below it. No path is compiled in, so that a compiler cache serves any
// checkout.
inline std::filesystem::path SourceFolderForTest() {
  std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  while (!std::filesystem::exists(folder / "tests" / "data")) {
    THRESHER_CHECK(folder.has_relative_path());
    folder = folder.parent_path();
  }
  return folder;
}

}  // namespace thresher

#endif  // THRESHER_BASE_SOURCE_FOLDER_FOR_TEST_H_
