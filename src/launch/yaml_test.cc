#include "launch/yaml.h"

#include <gtest/gtest.h>

#include <string>

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

std::string Value(const std::string& text) {
  const std::string yaml = WriteYaml(Json{{"key", text}});
  EXPECT_TRUE(yaml.starts_with("key: ")) << yaml;
  return yaml.substr(5, yaml.size() - 6);
}

TEST(YamlTest, WritesBlocks) {
  const Json document = {
      {"name", "first"},
      {"count", 3},
      {"is_on", true},
      {"nothing", nullptr},
      {"empty", Json::object()},
      {"none", Json::array()},
      {"list", Json::array({"a", Json{{"b", 1}, {"c", {{"d", "e"}}}}, Json::array({1, 2})})},
      {"map", {{"key with blanks", "x"}}}};
  EXPECT_EQ(WriteYaml(document), R"(name: first
count: 3
is_on: true
nothing: null
empty: {}
none: []
list:
  - a
  - b: 1
    c:
      d: e
  -
    - 1
    - 2
map:
  "key with blanks": x
)");
}

TEST(YamlTest, QuotesWhatCouldBeTakenForSomethingElse) {
  for (const char* text :
       {"",           "yes",   "No",  "TRUE", "off",  "null", "y",  "~",    "1",   "1e3", "0x1f",
        "2026-11-26", "12:30", "- a", "a: b", "a #b", "&a",   "*a", "!a",   "{a}", "[a]", "@a",
        "`a`",        "%a",    "'a'", "| a",  "> a",  "-",    ".5", ".inf", "?"}) {
    EXPECT_EQ(Value(text), "\"" + std::string(text) + "\"");
  }
  for (const char* text : {"a", "batch/v1", "nodes.v2", "thresher-first"}) {
    EXPECT_EQ(Value(text), text);
  }
}

TEST(YamlTest, EscapesWhatWouldEndTheString) {
  EXPECT_EQ(Value("a\"\nkind: Secret\n"), R"("a\"\nkind: Secret\n")");
  EXPECT_EQ(Value("back\\slash\ttab"), R"("back\\slash\ttab")");
  EXPECT_EQ(Value("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
  EXPECT_EQ(Value("\x7f\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf"),
            R"("\u007f\u0085\u2028\u2029\ufeff")");
}

}  // namespace
}  // namespace thresher
