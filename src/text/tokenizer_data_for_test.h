#ifndef THRESHER_TEXT_TOKENIZER_DATA_FOR_TEST_H_
#define THRESHER_TEXT_TOKENIZER_DATA_FOR_TEST_H_

#include <filesystem>
#include <string>

#include "base/source_folder_for_test.h"

namespace thresher {

// tests/data/tokenizers/NAME of this repository.
inline std::string TokenizerDataPath(const std::string& name) {
  return SourceFolderForTest() / "tests" / "data" / "tokenizers" / name;
}

}  // namespace thresher

#endif  // THRESHER_TEXT_TOKENIZER_DATA_FOR_TEST_H_
