#include "sample/token_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "base/random.h"
#include "text/utf8.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Kind = TokenSelection::Kind;

TokenSelection Parsed(std::string_view tokens, std::string_view exclude = "none") {
  const Result<TokenSelection> parsed = ParseTokenSelection(tokens, exclude);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return parsed.ok() ? *parsed : TokenSelection();
}

std::string ErrorOf(std::string_view tokens, std::string_view exclude = "none") {
  const Result<TokenSelection> parsed = ParseTokenSelection(tokens, exclude);
  return parsed.ok() ? "none" : parsed.status().message();
}

// Two sequences: 9 1 2 3 | 9 4 5, of the text "abcdef" whose letters are the tokens but 9.
const std::vector<int32_t> kIds = {9, 1, 2, 3, 9, 4, 5};
const std::vector<int64_t> kOffsets = {0, 4, 7};
const std::vector<ByteRange> kPlaces = {{0, 0}, {0, 1}, {1, 2}, {2, 3}, {0, 0}, {3, 4}, {4, 5}};
const std::unordered_set<int32_t> kSpecial = {9, 5};

std::optional<std::vector<int32_t>> Select(const TokenSelection& selection,
                                           const std::vector<ByteRange>& ranges = {},
                                           uint64_t seed = 0) {
  return SelectTokens(selection, {.token_ids = kIds,
                                  .sequence_offsets = kOffsets,
                                  .places = kPlaces,
                                  .ranges = ranges,
                                  .fraction_seed = seed,
                                  .bos_id = 9,
                                  .special_ids = &kSpecial});
}

TEST(TokenSelectionTest, Settings) {
  EXPECT_EQ(Parsed("all"), TokenSelection());
  EXPECT_EQ(Parsed("last").kind, Kind::kLast);
  EXPECT_EQ(Parsed("assistant").kind, Kind::kAssistant);
  EXPECT_EQ(Parsed("after:a\\n:b").marker, "a\n:b");
  EXPECT_EQ(Parsed("every:16").interval, 16);
  EXPECT_EQ(Parsed("fraction:0.25").fraction, 0.25);
  EXPECT_EQ(Parsed("fraction:1e-3").fraction, 0.001);
  EXPECT_EQ(Parsed("all", "bos").excluded, TokenSelection::Excluded::kBos);
  EXPECT_EQ(Parsed("all", "special").excluded, TokenSelection::Excluded::kSpecial);
}

TEST(TokenSelectionTest, WrongSettings) {
  const std::string all =
      "--tokens: expected all, last, assistant, after:MARKER, every:K or fraction:P, found ";
  for (const std::string wrong : {"", "ALL", "every", "every:", "last:1", "all:", "fraction=1"}) {
    if (wrong == "every:") continue;
    EXPECT_EQ(ErrorOf(wrong), all + "'" + wrong + "'");
  }
  for (const std::string wrong : {"", "0", "-1", "1.5", "99999999999999999999", "2x"}) {
    EXPECT_EQ(ErrorOf("every:" + wrong),
              "--tokens: every: expected a whole number from 1, found '" + wrong + "'");
  }
  for (const std::string wrong : {"", "0", "-0.5", "1.01", "nan", "inf", "0.5 "}) {
    EXPECT_EQ(ErrorOf("fraction:" + wrong),
              "--tokens: fraction: expected a number above 0 and at most 1, found '" + wrong + "'");
  }
  EXPECT_EQ(ErrorOf("after:"), "--tokens: after: expected a text, found ''");
  EXPECT_THAT(ErrorOf("after:\\x"), HasSubstr("--tokens: after: expected \\n, \\t or \\\\"));
  EXPECT_EQ(ErrorOf("all", "eos"), "--exclude-tokens: expected none, bos or special, found 'eos'");
}

TEST(TokenSelectionTest, AllAndWhatIsLeftOut) {
  EXPECT_EQ(Select(Parsed("all")), std::nullopt);
  EXPECT_THAT(*Select(Parsed("all", "bos")), ElementsAre(1, 2, 3, 5, 6));
  EXPECT_THAT(*Select(Parsed("all", "special")), ElementsAre(1, 2, 3, 5));
}

TEST(TokenSelectionTest, BosIsLeftOutOnlyAtTheBeginningOfASequence) {
  const std::vector<int32_t> ids = {9, 9, 1};
  const std::vector<int64_t> offsets = {0, 3};
  EXPECT_THAT(*SelectTokens(Parsed("all", "bos"),
                            {.token_ids = ids, .sequence_offsets = offsets, .bos_id = 9}),
              ElementsAre(1, 2));
  EXPECT_EQ(SelectTokens(Parsed("all", "bos"), {.token_ids = ids, .sequence_offsets = offsets}),
            std::nullopt);
}

TEST(TokenSelectionTest, LastOfEachSequence) {
  EXPECT_THAT(*Select(Parsed("last")), ElementsAre(3, 6));
  EXPECT_THAT(*Select(Parsed("last", "special")), ElementsAre(3, 5));
}

TEST(TokenSelectionTest, EveryCountsFromTheBeginningOfASequence) {
  EXPECT_EQ(Select(Parsed("every:1")), std::nullopt);
  EXPECT_THAT(*Select(Parsed("every:2")), ElementsAre(0, 2, 4, 6));
  EXPECT_THAT(*Select(Parsed("every:2", "bos")), ElementsAre(2, 6));
}

TEST(TokenSelectionTest, ByText) {
  EXPECT_THAT(*Select(Parsed("after:x"), {{2, 1000}}), ElementsAre(3, 5, 6));
  EXPECT_THAT(*Select(Parsed("assistant"), {{1, 2}, {4, 5}}), ElementsAre(2, 6));
  EXPECT_THAT(*Select(Parsed("assistant"), {}), ElementsAre());
}

TEST(TokenSelectionTest, TheFractionIsDrawnForEachTokenAsDocumented) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    std::vector<int32_t> expected;
    for (size_t i = 0; i < kIds.size(); ++i) {
      if (random.Uniform() < 0.4) expected.push_back(static_cast<int32_t>(i));
    }
    EXPECT_EQ(*Select(Parsed("fraction:0.4"), {}, seed), expected);
  }
  // What docs/prompts.md gives as an example.
  EXPECT_EQ(FractionSeed(7, 3, 1), SeedOf("7\n3\n1\ntokens"));
}

TEST(TokenSelectionTest, TheFractionIsHeldOnAverage) {
  const std::vector<int32_t> ids(100'000, 1);
  const std::vector<int64_t> offsets = {0, 100'000};
  const auto selected = SelectTokens(
      Parsed("fraction:0.1"), {.token_ids = ids, .sequence_offsets = offsets, .fraction_seed = 5});
  EXPECT_NEAR(static_cast<double>(selected->size()), 10'000, 400);
}

TEST(TokenSelectionTest, LikelyShares) {
  EXPECT_EQ(LikelyShare(Parsed("all", "special")), 1);
  EXPECT_EQ(LikelyShare(Parsed("last")), 0);
  EXPECT_EQ(LikelyShare(Parsed("every:4")), 0.25);
  EXPECT_EQ(LikelyShare(Parsed("fraction:0.1")), 0.1);
  EXPECT_EQ(LikelyShare(Parsed("after:x")), 0.5);
  EXPECT_EQ(LikelyShare(Parsed("assistant")), 0.5);
}

TEST(TokenSelectionFuzzTest, EverySettingIsReadOrRefused) {
  const std::string pieces[] = {"all", "last", "after:", "every:", "fraction:", "1",  "0.5",
                                "\\n", "\\",   "\xff",   ":",      "-",         "e9", "assistant",
                                "nan", "",     "\\\\",   "none",   "bos"};
  Random random(3);
  int read = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text;
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) text += pieces[random.Below(19)];
    const Result<TokenSelection> parsed = ParseTokenSelection(text, "none");
    if (!parsed.ok()) {
      ASSERT_TRUE(parsed.status().message().starts_with("--tokens: "));
      ASSERT_TRUE(CheckUtf8(parsed.status().message()).ok());
      continue;
    }
    ++read;
    ASSERT_GE(parsed->interval, 1);
    ASSERT_TRUE(parsed->fraction > 0 && parsed->fraction <= 1);
    ASSERT_EQ(parsed->kind == Kind::kAfter, !parsed->marker.empty());
    ASSERT_TRUE(CheckUtf8(parsed->marker).ok());
  }
  EXPECT_GT(read, 1'000);
}

}  // namespace
}  // namespace thresher
