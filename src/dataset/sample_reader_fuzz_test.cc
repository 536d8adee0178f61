// Hostile records: random bytes, and valid records with random damage. Every one must become a
// sample that keeps its promises or a rejection that can be stored.

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "dataset/sample_reader.h"
#include "text/tokenizer_data_for_test.h"
#include "text/utf8.h"

namespace thresher {
namespace {

constexpr int64_t kMaxTokens = 64;

const char* const kSeeds[] = {
    R"({"id": "a", "token_ids": [1, 2, 3, 511, 0]})",
    R"({"text": "Hello wörld 😀 <|im_start|> \u00e9\n", "id": 7})",
    R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Hi", "x": [{}]}]})",
    R"({"task_id": "t", "train": [{"input": [[1, 2], [3, 4]], "output": [[0]]}], "test": [{"input": [[5]]}]})",
    R"({"text": null, "a": {"b": [true, false, 1e5, -0.5, "\\\"\ud83d\ude00"]}})",
};

const char* const kTokens[] = {"{",
                               "}",
                               "[",
                               "]",
                               ",",
                               ":",
                               "\"",
                               "\\",
                               "null",
                               "1e999",
                               "-1",
                               "\"text\":",
                               "\xff",
                               "\xed\xa0",
                               "\\u",
                               "\"\\u0",
                               "\"messages\":[",
                               "\"train\":"};

std::string Mutated(Random& random) {
  std::string text = kSeeds[random.Below(std::size(kSeeds))];
  for (uint64_t n = 1 + random.Below(4); n > 0; --n) {
    const size_t at = random.Below(text.size() + 1);
    const size_t length = random.Below(8);
    switch (random.Below(10)) {
      case 0:
        text.insert(at, kTokens[random.Below(std::size(kTokens))]);
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random.Next());
        break;
      case 3:
        text.insert(at, text.substr(random.Below(text.size() + 1), length * 4));
        break;
      case 4:
        text.resize(at);
        break;
      default:  // mostly still valid JSON, with another meaning
        if (at < text.size() && text[at] >= '0') {
          text[at] = "0123456789abcdefghijklmnopqrstuvwxyz"[random.Below(36)];
        }
    }
  }
  return text;
}

std::string RandomBytes(Random& random) {
  std::string text(random.Below(100), '\0');
  for (char& c : text) c = static_cast<char>(random.Next());
  return text;
}

TEST(SampleReaderFuzzTest, EveryRecordBecomesASampleOrARejection) {
  Result<SampleReader> reader = SampleReader::Create(
      TokenizerDataPath("tiny512"), {.max_tokens = kMaxTokens, .vocabulary_size = 512});
  ASSERT_TRUE(reader.ok());
  Random random(2024);
  std::string text;
  for (int i = 0; i < 30'000; ++i) {
    text += random.Below(10) == 0 ? RandomBytes(random) : Mutated(random);
    text += '\n';
  }
  const TemporaryFolder folder;
  const Result<Dataset> dataset = Dataset::Open(folder.Write("d.jsonl", text));
  ASSERT_TRUE(dataset.ok());
  int64_t samples = 0;
  for (int64_t index = 0; index < dataset->record_count(); ++index) {
    const SampleOrRejection read = reader->Read(*dataset, index);
    if (const auto* sample = std::get_if<Sample>(&read)) {
      ++samples;
      ASSERT_FALSE(sample->token_ids.empty());
      ASSERT_LE(sample->token_ids.size(), static_cast<size_t>(kMaxTokens));
      for (const int32_t id : sample->token_ids) ASSERT_TRUE(id >= 0 && id < 512);
      ASSERT_TRUE(CheckUtf8(sample->key).ok());
    } else {
      const std::string& reason = std::get<Rejection>(read).reason;
      ASSERT_TRUE(reason.starts_with(dataset->Location(index) + ": "));
      ASSERT_TRUE(CheckUtf8(reason).ok());
      ASSERT_LT(reason.size(), 2000u);
    }
  }
  // Otherwise the damage would be too heavy, or too light, to reach every part.
  EXPECT_GT(samples, dataset->record_count() / 20);
  EXPECT_LT(samples, dataset->record_count() * 19 / 20);
}

}  // namespace
}  // namespace thresher
