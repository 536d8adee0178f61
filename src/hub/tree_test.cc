#include "hub/tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace thresher {
namespace {

using testing::HasSubstr;

const std::string kGit(40, 'a');
const std::string kSha(64, 'b');

std::string Entry(const std::string& path, const std::string& more = "") {
  return R"({"type":"file","path":")" + path + R"(","size":5,"oid":")" + kGit + "\"" + more + "}";
}

TEST(HubTreeTest, Page) {
  HubTree tree;
  const Status status = ParseTreePage(
      "[" + Entry("a/b") + R"(,{"type":"directory","path":"a"},)" +
          Entry("c", R"(,"lfs":{"oid":")" + kSha + R"(","size":7,"pointerSize":1},"xetHash":"x")") +
          "]",
      tree);
  ASSERT_TRUE(status.ok()) << status.message();
  const HubTree expected = {{"a/b", {.bytes = 5, .git_hash = kGit}},
                            {"c", {.bytes = 7, .git_hash = kGit, .sha256 = kSha, .xet_hash = "x"}}};
  EXPECT_EQ(tree, expected);
  EXPECT_EQ(tree["a/b"].hash(), kGit);
  EXPECT_EQ(tree["c"].hash(), kSha);
  const Result<HubTree> again = TreeFromJson(TreeToJson(tree));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(*again, tree);
}

TEST(HubTreeTest, WrongPages) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "expected a list"},
      {"[1]", "entry 0: expected an object"},
      {"[{}]", "field 'type'"},
      {"[" + Entry("a") + "," + Entry("../a") + "]", "entry 1: field 'path'"},
      {"[" + Entry("/etc/passwd") + "]", "field 'path'"},
      {R"([{"type":"file","path":"a","size":-1,"oid":"x"}])", "field 'size'"},
      {R"([{"type":"file","path":"a","size":1,"oid":"../x"}])", "40 lower-case hexadecimal"},
      {"[" + Entry("a", R"(,"lfs":{"oid":"x","size":1})") + "]", "64 lower-case hexadecimal"},
      {"[" + Entry("a", R"(,"lfs":[])") + "]", "field 'lfs'"},
  };
  for (const auto& [json, fault] : cases) {
    HubTree tree;
    const Status status = ParseTreePage(json, tree);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << json;
    EXPECT_THAT(status.message(), HasSubstr(fault)) << json;
  }
  EXPECT_THAT(TreeFromJson(R"({"format_version":2,"files":{}})").status().message(),
              HasSubstr("format_version"));
  EXPECT_THAT(TreeFromJson(R"({"format_version":1})").status().message(), HasSubstr("files"));
}

TEST(HubTreeTest, Commit) {
  EXPECT_EQ(*ParseCommit(R"({"sha":")" + kGit + R"(","x":[]})"), kGit);
  for (const char* wrong : {"", "[]", "{}", R"({"sha":"main"})", R"({"sha":1})"}) {
    EXPECT_FALSE(ParseCommit(wrong).ok()) << wrong;
  }
}

TEST(HubTreeTest, NextPage) {
  EXPECT_EQ(NextPage(""), "");
  EXPECT_EQ(NextPage("<https://h/x?a=b>; rel=\"next\""), "https://h/x?a=b");
  EXPECT_EQ(NextPage("<p>; rel=\"prev\", <n>; rel=next"), "n");
  EXPECT_EQ(NextPage("<p>; rel=\"prev\""), "");
  EXPECT_EQ(NextPage(">; rel=\"next\" <"), "");
}

TEST(HubTreeTest, DamagedAnswersMakeNoUnsafeNames) {
  const std::string page =
      "[" + Entry("a/b") + "," + Entry("c", R"(,"lfs":{"oid":")" + kSha + R"(","size":7})") + "]";
  const std::string cached = TreeToJson({{"a/b", {.bytes = 5, .git_hash = kGit}},
                                         {"c", {.bytes = 7, .git_hash = kGit, .sha256 = kSha}}});
  const char* const tokens[] = {"../", "/",    "\\u0000", "\"", "{", "[",    "1e9",
                                "-1",  "null", "\xff",    "]",  "}", "size", "\\"};
  Random random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = round % 2 == 0 ? page : cached;
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
      const size_t at = random.Below(text.size());
      if (random.Below(2) == 0) text.erase(at, random.Below(6));
      if (text.empty()) break;
      text.insert(std::min(at, text.size()), tokens[random.Below(std::size(tokens))]);
    }
    HubTree tree;
    if (!ParseTreePage(text, tree).ok()) tree.clear();
    if (const Result<HubTree> other = TreeFromJson(text); other.ok())
      tree.insert(other->begin(), other->end());
    for (const auto& [path, file] : tree) {
      EXPECT_TRUE(IsSafePath(path)) << text;
      EXPECT_GE(file.bytes, 0) << text;
      EXPECT_TRUE(file.hash().size() == 40 || file.hash().size() == 64) << text;
    }
    (void)ParseCommit(text);
    (void)NextPage(text);
  }
}

}  // namespace
}  // namespace thresher
