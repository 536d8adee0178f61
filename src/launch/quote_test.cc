#include "launch/quote.h"

#include <gtest/gtest.h>
#include <stdio.h>

#include <string>
#include <vector>

namespace thresher {
namespace {

// What a real shell makes of the words.
std::string PrintedByShell(const std::vector<std::string>& words) {
  const std::string command = "printf '<%s>' " + ShellCommand(words);
  FILE* const pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string printed;
  char buffer[4096];
  for (size_t count = 0; (count = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    printed.append(buffer, count);
  }
  EXPECT_EQ(pclose(pipe), 0);
  return printed;
}

TEST(QuoteTest, AShellGivesBackEachWord) {
  std::string bytes;
  for (int byte = 1; byte < 256; ++byte) bytes += static_cast<char>(byte);
  const std::vector<std::string> words = {
      "plain",     "",         "two words", "it's", "$(id)", "`id`",       "a;id",
      "\"$HOME\"", "-n",       "~",         "*",    "{a,b}", "line\nline", "back\\n",
      "#comment",  "!history", "'",         "''",   "a'b'c", "--a=b c",    bytes};
  std::string expected;
  for (const std::string& word : words) expected += "<" + word + ">";
  EXPECT_EQ(PrintedByShell(words), expected);
}

TEST(QuoteTest, LeavesPlainWordsAlone) {
  EXPECT_EQ(ShellCommand({"thresher", "extract", "--layers=0-11,23", "gs://bucket/a_b.c"}),
            "thresher extract --layers=0-11,23 gs://bucket/a_b.c");
  EXPECT_EQ(ShellQuote("it's"), R"('it'\''s')");
}

TEST(QuoteTest, KubernetesExpandsNothing) {
  EXPECT_EQ(KubernetesLiteral("$(HOME) $x $$"), "$$(HOME) $$x $$$$");
}

}  // namespace
}  // namespace thresher
