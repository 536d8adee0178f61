#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "text/tokenizer_data_for_test.h"
#include "text/utf8.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Tokenizer Tiny() {
  Result<Tokenizer> tokenizer = Tokenizer::Load(TokenizerDataPath("tiny512"));
  THRESHER_CHECK(tokenizer.ok());
  return std::move(tokenizer).value();
}

// The slow, obvious inverse of byte-level encoding: GPT-2's table gives each byte a printable
// character (printable bytes stand for themselves, the others follow from U+0100 on).
class ByteLevelDecoder {
 public:
  ByteLevelDecoder() {
    const Json tokenizer =
        Json::parse(ReadFileForTest(TokenizerDataPath("tiny512/tokenizer.json")));
    for (const auto& [piece, id] : tokenizer["model"]["vocab"].items()) pieces_[id] = piece;
    for (const Json& token : tokenizer["added_tokens"]) special_[token["id"]] = token["content"];
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable =
          (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
      bytes_[printable ? byte : next++] = static_cast<char>(byte);
    }
  }

  std::string Decode(const std::vector<int32_t>& ids) const {
    std::string text;
    for (const int32_t id : ids) {
      if (const auto it = special_.find(id); it != special_.end()) {
        text += it->second;
        continue;
      }
      const std::string& piece = pieces_.at(id);
      for (size_t i = 0; i < piece.size();) {
        int character = static_cast<unsigned char>(piece[i++]);
        if (character >= 0xc0) character = (character & 0x1f) << 6 | (piece[i++] & 0x3f);
        text += bytes_.at(character);
      }
    }
    return text;
  }

 private:
  std::map<int32_t, std::string> pieces_;
  std::map<int32_t, std::string> special_;
  std::map<int, char> bytes_;
};

TEST(TokenizerTest, IdsStandForTheWholeText) {
  const Tokenizer tokenizer = Tiny();
  const ByteLevelDecoder decoder;
  Random random(1);
  const std::vector<std::string> atoms = {
      " ", "\n", "\t", "\r", "a",   "Bc",         "12",
      "é", "日", "😀",  "'s", "...", "<|im_end|>", std::string(1, '\0'),
      "़"};
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (uint64_t n = random.Below(60); n > 0; --n) text += atoms[random.Below(atoms.size())];
    const Result<std::vector<int32_t>> ids = tokenizer.Encode(text, true);
    ASSERT_TRUE(ids.ok()) << ids.status().message();
    ASSERT_EQ(decoder.Decode(*ids), text);
  }
}

// A regular expression that gives up on long runs would leave text out or cut it differently.
TEST(TokenizerTest, LongRunsAreEncodedWhole) {
  const Tokenizer tokenizer = Tiny();
  const ByteLevelDecoder decoder;
  for (const std::string run : {" ", "\n", "a", "\t ", "1", "!", " \n", "'"}) {
    std::string text = "start";
    while (text.size() < 300'000) text += run;
    text += "end of it";
    const Result<std::vector<int32_t>> ids = tokenizer.Encode(text, true);
    ASSERT_TRUE(ids.ok()) << ids.status().message();
    ASSERT_TRUE(decoder.Decode(*ids) == text) << Json(run);
    // What comes after the run is cut as it is cut elsewhere.
    const std::vector<int32_t> end = *tokenizer.Encode(" of it", true);
    EXPECT_TRUE(std::equal(end.rbegin(), end.rend(), ids->rbegin())) << Json(run);
  }
}

TEST(TokenizerTest, InvalidUtf8NamesTheByte) {
  const Tokenizer tokenizer = Tiny();
  const Result<std::vector<int32_t>> ids = tokenizer.Encode("ab\xc3\xa9\xff more", false);
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(ids.status().message(), "not valid UTF-8 at byte offset 4 (byte 0xff)");
}

TEST(TokenizerTest, Utf8ChecksEdges) {
  EXPECT_TRUE(CheckUtf8("").ok());
  EXPECT_TRUE(CheckUtf8("\xf4\x8f\xbf\xbf").ok());
  for (const std::string bad :
       {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_EQ(CheckUtf8(bad).code(), Code::kInvalidArgument);
    EXPECT_THAT(CheckUtf8(bad).message(), HasSubstr("byte offset 0"));
  }
}

TEST(TokenizerTest, TruncationAndPaddingOfTheFileAreIgnored) {
  Json json = Json::parse(ReadFileForTest(TokenizerDataPath("tiny512/tokenizer.json")));
  json["truncation"] = {
      {"direction", "Right"}, {"max_length", 4}, {"strategy", "LongestFirst"}, {"stride", 0}};
  json["padding"] = {{"strategy", {{"Fixed", 64}}},
                     {"direction", "Right"},
                     {"pad_to_multiple_of", nullptr},
                     {"pad_id", 0},
                     {"pad_type_id", 0},
                     {"pad_token", "<|endoftext|>"}};
  const TemporaryFolder folder;
  folder.Write("tokenizer.json", json.dump());
  const Result<Tokenizer> tokenizer = Tokenizer::Load(folder.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(*tokenizer->Encode("Hello world", true), *Tiny().Encode("Hello world", true));
}

TEST(TokenizerTest, LoadErrorsNameTheFile) {
  const TemporaryFolder folder;
  Result<Tokenizer> tokenizer = Tokenizer::Load(folder.path());
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.status().code(), Code::kNotFound);
  EXPECT_THAT(tokenizer.status().message(), HasSubstr(folder.path() + "/tokenizer.json"));
  const std::string valid = ReadFileForTest(TokenizerDataPath("tiny512/tokenizer.json"));
  for (const std::string& broken : {std::string(), std::string("{}"), std::string("\xff\xfe"),
                                    valid.substr(0, valid.size() / 2)}) {
    folder.Write("tokenizer.json", broken);
    tokenizer = Tokenizer::Load(folder.path());
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_EQ(tokenizer.status().code(), Code::kInvalidArgument);
    EXPECT_THAT(tokenizer.status().message(), HasSubstr(folder.path() + "/tokenizer.json"));
  }
}

TEST(TokenizerTest, FingerprintFollowsTheBytes) {
  const std::string valid = ReadFileForTest(TokenizerDataPath("tiny512/tokenizer.json"));
  const TemporaryFolder folder;
  folder.Write("tokenizer.json", valid);
  EXPECT_EQ(Tokenizer::Load(folder.path())->fingerprint(), Tiny().fingerprint());
  folder.Write("tokenizer.json", valid + "\n");
  EXPECT_NE(Tokenizer::Load(folder.path())->fingerprint(), Tiny().fingerprint());
}

// The slow, obvious way: a token's text begins where the texts of all tokens before it end.
TEST(TokenizerTest, OffsetsAreWhereEachTokensTextBegins) {
  const Tokenizer tokenizer = Tiny();
  const ByteLevelDecoder decoder;
  const std::string text = "The ships <|im_start|>far  out\n at sea, 42.";
  const Result<Encoding> encoding = tokenizer.EncodeWithOffsets(text, false);
  ASSERT_TRUE(encoding.ok()) << encoding.status().message();
  EXPECT_EQ(encoding->ids, *tokenizer.Encode(text, false));
  ASSERT_EQ(encoding->begins.size(), encoding->ids.size());
  ASSERT_EQ(encoding->special.size(), encoding->ids.size());
  size_t begin = 0;
  for (size_t i = 0; i < encoding->ids.size(); ++i) {
    EXPECT_EQ(encoding->begins[i], static_cast<int64_t>(begin)) << i;
    const std::string token = decoder.Decode({encoding->ids[i]});
    EXPECT_EQ(encoding->special[i], token == "<|im_start|>") << token;
    begin += token.size();
  }
  EXPECT_EQ(begin, text.size());
}

TEST(TokenizerTest, TokensWithinACharacterBeginWhereItDoes) {
  const Result<Encoding> encoding = Tiny().EncodeWithOffsets("a😀b", false);
  ASSERT_TRUE(encoding.ok());
  EXPECT_EQ(encoding->begins.front(), 0);
  EXPECT_EQ(encoding->begins.back(), 5);
  for (size_t i = 1; i + 1 < encoding->begins.size(); ++i) EXPECT_EQ(encoding->begins[i], 1);
}

// A tokenizer with a post-processor that puts a token on each side.
TEST(TokenizerTest, AddedTokensAreSpecialAndHaveAPlace) {
  Json json = Json::parse(ReadFileForTest(TokenizerDataPath("tiny512/tokenizer.json")));
  const Json& added = json["added_tokens"];
  ASSERT_GE(added.size(), 2u);
  const std::string front = added[0]["content"];
  const std::string back = added[1]["content"];
  const auto special = [](const Json& token) {
    return Json{{"id", token["content"]}, {"ids", {token["id"]}}, {"tokens", {token["content"]}}};
  };
  const auto piece = [](const std::string& id) {
    return Json{{"SpecialToken", {{"id", id}, {"type_id", 0}}}};
  };
  const Json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json pair = {{"Sequence", {{"id", "B"}, {"type_id", 0}}}};
  json["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {piece(front), sequence, piece(back)}},
      {"pair", {sequence, pair}},
      {"special_tokens", {{front, special(added[0])}, {back, special(added[1])}}}};
  const TemporaryFolder folder;
  folder.Write("tokenizer.json", json.dump());
  const Result<Tokenizer> tokenizer = Tokenizer::Load(folder.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->bos_token_id(), added[0]["id"].get<int32_t>());
  EXPECT_EQ(Tiny().bos_token_id(), std::nullopt);

  const Result<Encoding> encoding = tokenizer->EncodeWithOffsets(" at sea", true);
  ASSERT_TRUE(encoding.ok()) << encoding.status().message();
  EXPECT_EQ(encoding->ids, *tokenizer->Encode(" at sea", true));
  const size_t count = encoding->ids.size();
  ASSERT_EQ(count, 2 + tokenizer->Encode(" at sea", false)->size());
  EXPECT_EQ(encoding->begins[0], 0);
  EXPECT_EQ(encoding->begins[1], 0);
  EXPECT_EQ(encoding->begins[count - 1], 7);
  std::vector<bool> expected(count, false);
  expected.front() = expected.back() = true;
  EXPECT_EQ(encoding->special, expected);
  const Result<Encoding> empty = tokenizer->EncodeWithOffsets("", true);
  EXPECT_EQ(empty->begins, std::vector<int64_t>({0, 0}));
}

TEST(TokenizerTest, KnowsItsSpecialTokens) {
  const Json json = Json::parse(ReadFileForTest(TokenizerDataPath("tiny512/tokenizer.json")));
  std::vector<int32_t> expected;
  for (const Json& token : json["added_tokens"]) {
    if (token["special"]) expected.push_back(token["id"]);
  }
  std::ranges::sort(expected);
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(Tiny().special_token_ids(), expected);
}

TEST(TokenizerTest, ManyThreadsShareOne) {
  const Tokenizer tokenizer = Tiny();
  const std::vector<int32_t> expected = *tokenizer.Encode("The ships far out at sea", true);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        count += *tokenizer.Encode("The ships far out at sea", true) != expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace thresher
