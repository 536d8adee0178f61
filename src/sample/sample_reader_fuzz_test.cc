// Hostile records: random bytes, and valid records with random damage. Every one must become a
// sample that keeps its promises or a rejection that can be stored.

#include <gtest/gtest.h>

#include "base/random.h"
#include "sample/sample_reader.h"
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
    R"({"id": "e", "examples": [[[[1, 2]], [[3]]], [[[4.0]], [[5, 6], [7, 8]]]], "source": "def f"})",
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

// Settings that reach every part of the reader.
std::vector<SampleSettings> AllSettings() {
  std::vector<SampleSettings> list(6);
  for (SampleSettings& settings : list) settings.max_tokens = kMaxTokens;
  list[1].overlong = "split";
  list[1].overlap = 7;
  list[1].tokens = "last";
  list[1].exclude_tokens = "special";
  list[2].tokens = "assistant";
  list[2].prompt_end = "prefix:```";
  list[2].max_tokens = 4096;
  list[3].tokens = "after:e";
  list[3].prompt_end = "answer";
  list[3].max_tokens = 4096;
  list[4].tokens = "fraction:0.3";
  list[4].prompt = "verify-output";
  list[4].variants = 3;
  list[4].augment = "flip,rotate,colors,order,swap";
  list[5].tokens = "every:3";
  list[5].prompt = "output-from-code";
  list[5].column = "examples";
  return list;
}

void CheckSample(const Sample& sample, const SampleSettings& settings) {
  ASSERT_FALSE(sample.token_ids.empty());
  for (const int32_t id : sample.token_ids) ASSERT_TRUE(id >= 0 && id < 512);
  ASSERT_TRUE(CheckUtf8(sample.key).ok());
  const auto count = static_cast<int64_t>(sample.token_ids.size());
  ASSERT_GE(sample.sequence_offsets.size(), 2u);
  ASSERT_EQ(sample.sequence_offsets.front(), 0);
  ASSERT_EQ(sample.sequence_offsets.back(), count);
  for (size_t i = 1; i < sample.sequence_offsets.size(); ++i) {
    const int64_t tokens = sample.sequence_offsets[i] - sample.sequence_offsets[i - 1];
    ASSERT_TRUE(tokens > 0 && tokens <= settings.max_tokens);
  }
  if (settings.overlong != "split") {
    ASSERT_EQ(sample.sequence_offsets.size(), 2u);
  }
  if (!sample.stored_tokens) return;
  ASSERT_LT(sample.stored_tokens->size(), sample.token_ids.size());
  int64_t last = -1;
  for (const int32_t token : *sample.stored_tokens) {
    ASSERT_TRUE(token > last && token < count);
    last = token;
  }
}

TEST(SampleReaderFuzzTest, EveryRecordBecomesASampleOrARejection) {
  constexpr int kRecordsEach = 5'000;
  Random random(2024);
  for (const SampleSettings& settings : AllSettings()) {
    SCOPED_TRACE(settings.tokens);
    Result<SampleReader> reader = SampleReader::Create(
        TokenizerDataPath("tiny512"), {.settings = settings, .vocabulary_size = 512});
    ASSERT_TRUE(reader.ok()) << reader.status().message();
    int samples = 0;
    for (int i = 0; i < kRecordsEach; ++i) {
      const std::string text = random.Below(10) == 0 ? RandomBytes(random) : Mutated(random);
      const SampleOrRejection read =
          reader->Read({.record = {.text = text, .is_json = random.Below(50) != 0},
                        .location = "d.jsonl:7",
                        .record_index = i,
                        .variant = i % settings.variants});
      if (const auto* sample = std::get_if<Sample>(&read)) {
        ++samples;
        CheckSample(*sample, settings);
        if (testing::Test::HasFatalFailure()) return;
        continue;
      }
      const std::string& reason = std::get<Rejection>(read).reason;
      ASSERT_TRUE(reason.starts_with("d.jsonl:7: "));
      ASSERT_TRUE(CheckUtf8(reason).ok());
      ASSERT_LT(reason.size(), 2000u);
    }
    // Otherwise the damage would be too heavy, or too light, to reach every part.
    EXPECT_GT(samples, kRecordsEach / 100);
    EXPECT_LT(samples, kRecordsEach * 19 / 20);
  }
}

}  // namespace
}  // namespace thresher
