#ifndef THRESHER_TEXT_TOKENIZER_DATA_FOR_TEST_H_
#define THRESHER_TEXT_TOKENIZER_DATA_FOR_TEST_H_

#include <filesystem>
#include <string>

namespace thresher {

// tests/data/tokenizers/NAME of this repository.
inline std::string TokenizerDataPath(const std::string& name) {
  const std::filesystem::path here(__FILE__);
  return here.parent_path().parent_path().parent_path() / "tests" / "data" / "tokenizers" / name;
}

}  // namespace thresher

#endif  // THRESHER_TEXT_TOKENIZER_DATA_FOR_TEST_H_
