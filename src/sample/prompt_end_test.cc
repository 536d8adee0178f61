#include "sample/prompt_end.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "text/utf8.h"

namespace thresher {
namespace {

using Kind = PromptEnd::Kind;

std::string ErrorOf(std::string_view spec) {
  const Result<PromptEnd> end = ParsePromptEnd(spec);
  return end.ok() ? "none" : end.status().message();
}

TEST(PromptEndTest, Settings) {
  EXPECT_EQ(ParsePromptEnd("user")->kind, Kind::kUser);
  EXPECT_EQ(ParsePromptEnd("assistant")->kind, Kind::kAssistant);
  EXPECT_EQ(ParsePromptEnd("answer")->kind, Kind::kAnswer);
  const PromptEnd prefix = *ParsePromptEnd("prefix:```grid\\n\\t\\\\:");
  EXPECT_EQ(prefix.kind, Kind::kPrefix);
  EXPECT_EQ(prefix.prefix, "```grid\n\t\\:");
}

TEST(PromptEndTest, WrongSettings) {
  const std::string all =
      "--prompt-end: expected user, assistant, answer, or prefix:TEXT with the beginning of the "
      "answer, found ";
  for (const std::string wrong : {"", "User", "prefix", "prefix:", "answer:x"}) {
    EXPECT_EQ(ErrorOf(wrong), all + "'" + wrong + "'");
  }
  EXPECT_EQ(ErrorOf("prefix:a\\q"),
            "--prompt-end: expected \\n, \\t or \\\\ after a backslash, found '\\q'");
  EXPECT_EQ(ErrorOf("prefix:\xff"), "--prompt-end: not valid UTF-8 at byte offset 0 (byte 0xff)");
}

TEST(PromptEndFuzzTest, EverySettingIsReadOrRefused) {
  Random random(4);
  int read = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text = random.Below(4) == 0 ? "" : "prefix:";
    for (uint64_t n = random.Below(4); n > 0; --n) text += "a\\nt:\xc3\xa9 "[random.Below(8)];
    const Result<PromptEnd> end = ParsePromptEnd(text);
    if (end.ok()) {
      ++read;
      ASSERT_EQ(end->kind == Kind::kPrefix, !end->prefix.empty());
      ASSERT_TRUE(CheckUtf8(end->prefix).ok());
    } else {
      ASSERT_TRUE(CheckUtf8(end.status().message()).ok());
    }
  }
  EXPECT_GT(read, 5'000);
}

}  // namespace
}  // namespace thresher
