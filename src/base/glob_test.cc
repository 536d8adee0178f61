#include "base/glob.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace thresher {
namespace {

TEST(GlobTest, Matches) {
  struct Case {
    const char* pattern;
    const char* path;
    bool matches;
  };
  for (const Case& c : {Case{"a.jsonl", "a.jsonl", true},
                        {"*.jsonl", "a.jsonl", true},
                        {"*.jsonl", "b/a.jsonl", false},
                        {"*.jsonl", ".a.jsonl", false},
                        {".*", ".a.jsonl", true},
                        {"train-*-of-*.parquet", "train-00-of-02.parquet", true},
                        {"train-*-of-*.parquet", "train-00-02.parquet", false},
                        {"b/?.txt", "b/a.txt", true},
                        {"b/?.txt", "b/.txt", false},
                        {"[a-c]x", "bx", true},
                        {"[a-c]x", "dx", false},
                        {"[!a-c]x", "dx", true},
                        {"[]x", "[]x", true},
                        {"**/a", "a", true},
                        {"**/a", "x/y/a", true},
                        {"**/a", ".x/a", false},
                        {"x/**", "x/y/z", true},
                        {"x/**", "x", false},
                        {"**", "x/y", true},
                        {"a/**/b", "a/b", true},
                        {"a/**/b", "a/x/y/b", true},
                        {"a/**/b", "a/x/y/c", false},
                        {"", "", true},
                        {"a", "a/b", false},
                        {"a/b", "a", false}}) {
    EXPECT_EQ(MatchesGlob(c.pattern, c.path), c.matches) << c.pattern << " " << c.path;
  }
}

TEST(GlobTest, FolderAndPattern) {
  EXPECT_EQ(SplitGlob("data/x/train-*.gz").folder, "data/x");
  EXPECT_EQ(SplitGlob("data/x/train-*.gz").pattern, "train-*.gz");
  EXPECT_EQ(SplitGlob("*.gz").folder, "");
  EXPECT_EQ(SplitGlob("/*.gz").folder, "/");
  EXPECT_EQ(SplitGlob("gs://b/**/x").folder, "gs://b");
}

// What a '*' is, by trying everything.
bool SlowMatch(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    return SlowMatch(pattern.substr(1), text) ||
           (!text.empty() && SlowMatch(pattern, text.substr(1)));
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         SlowMatch(pattern.substr(1), text.substr(1));
}

TEST(GlobTest, RandomPatternsAgreeWithTheObviousWay) {
  Random random(3);
  const auto text_of = [&](std::string_view alphabet, uint64_t longest) {
    std::string text;
    for (uint64_t n = random.Below(longest); n > 0; --n) {
      text += alphabet[random.Below(alphabet.size())];
    }
    return text;
  };
  for (int round = 0; round < 20'000; ++round) {
    const std::string pattern = text_of("aab**?", 8);
    if (pattern.find("**") != pattern.npos) continue;
    const std::string text = "a" + text_of("ab", 8);
    ASSERT_EQ(MatchesGlob(pattern, text), SlowMatch(pattern, text)) << pattern << " " << text;
  }
}

TEST(GlobTest, HostilePatternsEnd) {
  Random random(5);
  const std::string_view alphabet = "a*?[]!-/.b";
  for (int round = 0; round < 20'000; ++round) {
    std::string pattern;
    std::string path;
    for (uint64_t n = random.Below(20); n > 0; --n) pattern += alphabet[random.Below(10)];
    for (uint64_t n = random.Below(20); n > 0; --n) path += alphabet[random.Below(10)];
    (void)MatchesGlob(pattern, path);
  }
  EXPECT_FALSE(MatchesGlob("a*a*a*a*a*a*a*a*b", std::string(3000, 'a')));
}

}  // namespace
}  // namespace thresher
