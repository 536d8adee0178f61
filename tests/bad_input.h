#ifndef THRESHER_TESTS_BAD_INPUT_H_
#define THRESHER_TESTS_BAD_INPUT_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "model/model_folder_for_test.h"

// What a user gets for input that is wrong: one message that names the place and what to do, an
// exit status that says so, and nothing in the store that looks whole.

namespace thresher {

using Texts = std::vector<std::string>;

inline constexpr const char* kGoodLine = "{\"token_ids\": [1, 2, 3, 4, 5]}\n";

inline int CountOf(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// A small model, a data set of one good line, and what must hold of a refusal.
class BadInputTest : public testing::Test {
 protected:
  void SetUp() override { WriteFile(Dataset(), kGoodLine); }

  std::string Dataset() const { return folder_.path() + "/samples.jsonl"; }
  std::string Output() const { return folder_.path() + "/run"; }

  ProcessResult Run(const Texts& flags = {}) const {
    return Extraction{model_.path(), Dataset(), Output(), flags}.Run();
  }

  // It ended by itself, with that status, and no sanitizer had anything to say.
  static void ExpectEnd(const ProcessResult& result, int exit_status) {
    EXPECT_EQ(result.signal, 0) << result.Describe();
    EXPECT_EQ(result.exit_status, exit_status) << result.Describe();
    for (const char* alarm : {"Sanitizer", "runtime error:", "terminate called", "check failed"}) {
      EXPECT_EQ(result.err.find(alarm), std::string::npos) << result.Describe();
    }
  }

  // Refused before anything was computed, with one message that has all these parts.
  void ExpectRefused(const ProcessResult& result, const Texts& parts, int exit_status = 1) const {
    ExpectEnd(result, exit_status);
    EXPECT_EQ(CountOf("\n" + result.err, "\nthresher: "), 1) << result.Describe();
    EXPECT_TRUE(result.err.starts_with("thresher: ")) << result.Describe();
    EXPECT_LT(result.err.size(), 2'000u) << result.Describe();
    for (const std::string& part : parts) EXPECT_THAT(result.err, testing::HasSubstr(part));
    ExpectNothingWhole();
  }

  void ExpectNothingWhole() const {
    EXPECT_FALSE(std::filesystem::exists(Output() + "/manifest.json"));
    EXPECT_TRUE(FilesBelow(Output() + "/commits").empty());
  }

  TemporaryFolder folder_;
  ModelFolder model_{"qwen2"};
};

}  // namespace thresher

#endif  // THRESHER_TESTS_BAD_INPUT_H_
