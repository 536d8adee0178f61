#ifndef THRESHER_TESTS_FILES_H_
#define THRESHER_TESTS_FILES_H_

#include <string>
#include <vector>

namespace thresher {

// Small files, read and written whole; a failure is a failed check.
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& bytes);

// Paths of all regular files below the folder, relative to it, sorted; none if there is no such
// folder.
std::vector<std::string> FilesBelow(const std::string& folder);

// "qwen2" -> the folder of tests/data/golden/qwen2.
std::string GoldenModel(const std::string& name);

// Path of something in the source tree: "tests/data/...".
std::string SourcePath(const std::string& name);

}  // namespace thresher

#endif  // THRESHER_TESTS_FILES_H_
