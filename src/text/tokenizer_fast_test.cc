// The short cut through well-known byte-level tokenizers against the general way, which the same
// tokenizer takes when its regular expression is written in another way: "(?:...)" around it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "text/tokenizer.h"
#include "text/tokenizer_data_for_test.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

const char* const kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const char* const kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const char* const kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Json ByteLevel(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json Sequence(std::vector<Json> parts) {
  return {{"type", "Sequence"}, {"pretokenizers", std::move(parts)}};
}

Json Split(const std::string& pattern) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

Json SlowSplit(const std::string& pattern) { return Split("(?:" + pattern + ")"); }

struct Twins {
  Tokenizer fast;
  Tokenizer slow;
};

Tokenizer Loaded(const Json& json) {
  const TemporaryFolder folder;
  folder.Write("tokenizer.json", json.dump());
  Result<Tokenizer> tokenizer = Tokenizer::Load(folder.path());
  THRESHER_CHECK(tokenizer.ok());
  return std::move(tokenizer).value();
}

Twins TwinsOf(Json json, const Json& fast, const Json& slow) {
  json["pre_tokenizer"] = fast;
  Tokenizer first = Loaded(json);
  json["pre_tokenizer"] = slow;
  return {std::move(first), Loaded(json)};
}

void ExpectSame(const Twins& twins, const std::string& text) {
  for (const bool special : {false, true}) {
    const Result<Encoding> fast = twins.fast.EncodeWithOffsets(text, special);
    const Result<Encoding> slow = twins.slow.EncodeWithOffsets(text, special);
    ASSERT_TRUE(fast.ok() && slow.ok()) << fast.status().message() << slow.status().message();
    EXPECT_EQ(fast->ids, slow->ids) << Json(text).dump(-1, ' ', true);
    EXPECT_EQ(fast->begins, slow->begins) << Json(text).dump(-1, ' ', true);
    EXPECT_EQ(fast->special, slow->special) << Json(text).dump(-1, ' ', true);
    EXPECT_EQ(*twins.fast.Encode(text, special), *twins.slow.Encode(text, special));
  }
}

void AppendUtf8(uint32_t character, std::string& text) {
  const auto add = [&](uint32_t byte) { text += static_cast<char>(byte); };
  if (character < 0x80) {
    add(character);
  } else if (character < 0x800) {
    add(0xc0 | character >> 6);
    add(0x80 | (character & 0x3f));
  } else if (character < 0x10000) {
    add(0xe0 | character >> 12);
    add(0x80 | (character >> 6 & 0x3f));
    add(0x80 | (character & 0x3f));
  } else {
    add(0xf0 | character >> 18);
    add(0x80 | (character >> 12 & 0x3f));
    add(0x80 | (character >> 6 & 0x3f));
    add(0x80 | (character & 0x3f));
  }
}

// Words, blanks, digits, scripts, code and hard cases of the regular expressions, in random order.
std::string RandomText(Random& random) {
  static const std::vector<std::string> kPieces = {"a",
                                                   "The",
                                                   " word",
                                                   "don't",
                                                   "'s",
                                                   "'S",
                                                   "'ſ",
                                                   "'re",
                                                   "'RE",
                                                   "'Ll",
                                                   "'l",
                                                   "'",
                                                   "''",
                                                   "I'm",
                                                   " ",
                                                   "  ",
                                                   "    ",
                                                   "\t",
                                                   "\n",
                                                   "\r\n",
                                                   "\n\n",
                                                   " \n ",
                                                   "\r",
                                                   "\v",
                                                   "\f",
                                                   "\u00a0",
                                                   "\u2028",
                                                   "\u0085",
                                                   "\u3000",
                                                   "0",
                                                   "12",
                                                   "345",
                                                   "6789",
                                                   "\u0663",
                                                   "\u00b2",
                                                   "\u216f",
                                                   "\u00bd",
                                                   "\u4e8c",
                                                   "日本語",
                                                   "한국어",
                                                   "русский",
                                                   "ελληνικά",
                                                   "العربية",
                                                   "עברית",
                                                   "हिन्दी",
                                                   "ไทย",
                                                   "é",
                                                   "e\u0301",
                                                   "ǆ",
                                                   "\u0301",
                                                   "😀",
                                                   "👨‍👩‍👧",
                                                   "❤️",
                                                   "🇩🇪",
                                                   "!",
                                                   "...",
                                                   "=>",
                                                   "!=\n",
                                                   ";\r\n",
                                                   " (",
                                                   "[i] += x[0];",
                                                   "#include <a>",
                                                   "<|im_start|>",
                                                   " <|im_end|>\n",
                                                   "<|im",
                                                   "|>",
                                                   "\u200d",
                                                   "\ufeff",
                                                   "\x01",
                                                   "\x7f",
                                                   "\u017f",
                                                   "ß"};
  std::string text;
  for (uint64_t n = random.Below(20); n > 0; --n) {
    if (random.Below(4) != 0) {
      text += kPieces[random.Below(kPieces.size())];
      continue;
    }
    // Any character; half of them of the first two planes' busy beginning.
    const uint64_t character = random.Below(random.Below(2) == 0 ? 0x110000 : 0x3000);
    if (character < 0xd800 || character > 0xdfff) {
      AppendUtf8(static_cast<uint32_t>(character), text);
    }
  }
  return text;
}

void ExpectSameOnRandomTexts(const Twins& twins, int rounds, uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    ExpectSame(twins, RandomText(random));
  }
}

Json Tiny() { return Json::parse(ReadFileForTest(TokenizerDataPath("tiny512/tokenizer.json"))); }

TEST(FastTokenizerTest, Qwen2) {
  const Twins twins = TwinsOf(Tiny(), Sequence({Split(kQwen2), ByteLevel(false)}),
                              Sequence({SlowSplit(kQwen2), ByteLevel(false)}));
  ExpectSameOnRandomTexts(twins, 2000, 1);
}

TEST(FastTokenizerTest, Qwen2Normalizing) {
  Json json = Tiny();
  json["normalizer"] = {{"type", "NFC"}};
  const Twins twins = TwinsOf(json, Sequence({Split(kQwen2), ByteLevel(false)}),
                              Sequence({SlowSplit(kQwen2), ByteLevel(false)}));
  ExpectSameOnRandomTexts(twins, 2000, 2);
}

TEST(FastTokenizerTest, Llama3WithAddedFront) {
  Json json = Tiny();
  const Json& token = json["added_tokens"][0];
  const std::string front = token["content"];
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json pair = {{"Sequence", {{"id", "B"}, {"type_id", 0}}}};
  const Json added = {{"SpecialToken", {{"id", front}, {"type_id", 0}}}};
  const Json template_processing = {
      {"type", "TemplateProcessing"},
      {"single", {added, text}},
      {"pair", {text, pair}},
      {"special_tokens", {{front, {{"id", front}, {"ids", {token["id"]}}, {"tokens", {front}}}}}}};
  json["post_processor"] = {{"type", "Sequence"},
                            {"processors", {ByteLevel(true), template_processing}}};
  const Twins twins = TwinsOf(json, Sequence({Split(kLlama3), ByteLevel(false)}),
                              Sequence({SlowSplit(kLlama3), ByteLevel(false)}));
  EXPECT_EQ(twins.fast.EncodeWithOffsets("a", true)->ids[0], token["id"].get<int32_t>());
  ExpectSameOnRandomTexts(twins, 2000, 3);
}

TEST(FastTokenizerTest, Gpt2) {
  const Twins twins =
      TwinsOf(Tiny(), ByteLevel(true), Sequence({SlowSplit(kGpt2), ByteLevel(false)}));
  ExpectSameOnRandomTexts(twins, 2000, 4);
  const Twins split = TwinsOf(Tiny(), Sequence({Split(kGpt2), ByteLevel(false)}),
                              Sequence({SlowSplit(kGpt2), ByteLevel(false)}));
  ExpectSameOnRandomTexts(split, 1000, 5);
}

TEST(FastTokenizerTest, SmolLm2) {
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const Twins twins = TwinsOf(Tiny(), Sequence({digits, ByteLevel(true)}),
                              Sequence({digits, SlowSplit(kGpt2), ByteLevel(false)}));
  ExpectSameOnRandomTexts(twins, 2000, 6);
}

// Bytes that the model has no token for are passed over.
TEST(FastTokenizerTest, UnknownBytes) {
  Json json = Tiny();
  const Twins known =
      TwinsOf(json, ByteLevel(true), Sequence({SlowSplit(kGpt2), ByteLevel(false)}));
  ASSERT_EQ(known.fast.Encode("\x01", false)->size(), 1u);
  // U+0101 stands for byte 1.
  Json vocabulary = Json::object();
  for (const auto& [piece, id] : json["model"]["vocab"].items()) {
    if (piece != "\u0101") vocabulary[piece] = id;
  }
  ASSERT_EQ(vocabulary.size() + 1, json["model"]["vocab"].size());
  json["model"]["vocab"] = vocabulary;
  const Twins twins =
      TwinsOf(json, ByteLevel(true), Sequence({SlowSplit(kGpt2), ByteLevel(false)}));
  EXPECT_EQ(twins.fast.Encode("\x01", false)->size(), 0u);
  ExpectSame(twins, "one \x01 two\x01three");
  ExpectSameOnRandomTexts(twins, 500, 7);
}

// More different words than are remembered, and long ones that are not.
TEST(FastTokenizerTest, ManyWords) {
  const Twins twins =
      TwinsOf(Tiny(), ByteLevel(true), Sequence({SlowSplit(kGpt2), ByteLevel(false)}));
  std::string text;
  for (int i = 0; i < 70000; ++i) text += " " + std::to_string(i * 7919);
  ExpectSame(twins, text);
  ExpectSame(twins, text.substr(0, 1000) + std::string(5000, 'x') + "  y");
}

TEST(FastTokenizerTest, ManyThreads) {
  const Twins twins = TwinsOf(Tiny(), Sequence({Split(kQwen2), ByteLevel(false)}),
                              Sequence({SlowSplit(kQwen2), ByteLevel(false)}));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      Random random(100 + t);
      for (int round = 0; round < 200; ++round) {
        const std::string text = RandomText(random);
        wrong[t] += *twins.fast.Encode(text, true) != *twins.slow.Encode(text, true);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

// Each tokenizer of THRESHER_TOKENIZER_DIR (see tokenizer_golden_test.cc) against itself with its
// regular expression written in the other way.
TEST(FastTokenizerTest, LargeTokenizers) {
  const char* folder = std::getenv("THRESHER_TOKENIZER_DIR");
  if (folder == nullptr) GTEST_SKIP() << "THRESHER_TOKENIZER_DIR is not set";
  for (const std::string name : {"qwen2_5", "qwen3", "llama3_1", "smollm2"}) {
    SCOPED_TRACE(name);
    const std::filesystem::path path = std::filesystem::path(folder) / name / "tokenizer.json";
    if (!std::filesystem::exists(path)) continue;
    const Json json = Json::parse(ReadFileForTest(path));
    const Json& fast = json["pre_tokenizer"];
    Json slow = fast;
    Json& parts = slow["pretokenizers"];
    if (parts[0]["type"] == "Digits") {
      parts = {parts[0], SlowSplit(kGpt2), ByteLevel(false)};
    } else {
      parts[0] = SlowSplit(parts[0]["pattern"]["Regex"]);
    }
    ExpectSameOnRandomTexts(TwinsOf(json, fast, slow), 500, 8);
  }
}

}  // namespace
}  // namespace thresher
