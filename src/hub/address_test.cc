#include "hub/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Case {
  std::string text;
  HubKind kind;
  std::string repository;
  std::string revision;
  std::string path;
  std::string again;  // "" where Text() is `text`
};

TEST(HubAddressTest, RightOnes) {
  const std::string commit(40, 'f');
  for (const Case& c : std::vector<Case>{
           {"hf://gpt2", HubKind::kModel, "gpt2", "main", "", "hf://gpt2@main"},
           {"hf://gpt2/", HubKind::kModel, "gpt2", "main", "", "hf://gpt2@main"},
           {"hf://Qwen/Qwen2.5-0.5B", HubKind::kModel, "Qwen/Qwen2.5-0.5B", "main", "",
            "hf://Qwen/Qwen2.5-0.5B@main"},
           {"hf://models/a/b@v1.0", HubKind::kModel, "a/b", "v1.0", "", "hf://a/b@v1.0"},
           {"hf://gpt2@" + commit, HubKind::kModel, "gpt2", commit, "", ""},
           {"hf://models/datasets/b@x", HubKind::kModel, "datasets/b", "x", "", ""},
           {"hf://a/b@refs/pr/12", HubKind::kModel, "a/b", "refs/pr/12", "", ""},
           {"hf://a/b@feature%2Fnew", HubKind::kModel, "a/b", "feature/new", "", ""},
           {"hf://datasets/squad", HubKind::kDataset, "squad", "main", "",
            "hf://datasets/squad@main"},
           {"hf://datasets/squad/data", HubKind::kDataset, "squad/data", "main", "",
            "hf://datasets/squad/data@main"},
           {"hf://datasets/squad@main/data", HubKind::kDataset, "squad", "main", "data", ""},
           {"hf://datasets/a/b/c/*.parquet", HubKind::kDataset, "a/b", "main", "c/*.parquet",
            "hf://datasets/a/b@main/c/*.parquet"},
           {"hf://datasets/a/b@refs/convert/parquet/x/y.parquet", HubKind::kDataset, "a/b",
            "refs/convert/parquet", "x/y.parquet", ""},
           {"hf://datasets/a/b@refs%2Fconvert%2Fparquet/", HubKind::kDataset, "a/b",
            "refs/convert/parquet", "", "hf://datasets/a/b@refs/convert/parquet"},
           {"hf://datasets/a/b@r/x@y", HubKind::kDataset, "a/b", "r", "x@y", ""},
       }) {
    const Result<HubAddress> address = ParseHubAddress(c.text);
    ASSERT_TRUE(address.ok()) << address.status().message();
    EXPECT_EQ(address->kind, c.kind) << c.text;
    EXPECT_EQ(address->repository, c.repository) << c.text;
    EXPECT_EQ(address->revision, c.revision) << c.text;
    EXPECT_EQ(address->path, c.path) << c.text;
    EXPECT_EQ(address->Text(), c.again.empty() ? c.text : c.again);
  }
}

TEST(HubAddressTest, WrongOnesShowARightOne) {
  const std::pair<std::string, std::string> cases[] = {
      {"gs://a/b", "does not begin with hf://"},
      {"hf://", "is empty"},
      {"hf:///b", "owner that is empty"},
      {"hf://a//b", "name that is empty"},
      {"hf://datasets/a//b", "name that is empty"},
      {"hf://a/b c", "white space"},
      {"hf://a/b@", "revision"},
      {"hf://a/b@..%2Fx", "revision"},
      {"hf://a/b@a%2", "'%'"},
      {"hf://a/b@a%zz", "'%'"},
      {"hf://a/b@x%00", "revision"},
      {"hf://a/b/c", "%2F"},
      {"hf://a/b--c", "'--'"},
      {"hf://../b", "begin and end"},
      {"hf://a/b.git", ".git"},
      {"hf://a/b:c", "may hold only"},
      {"hf://spaces/a/b", "space"},
      {"hf://a/" + std::string(100, 'b'), "96"},
      {"hf://datasets/a/b@main/../c", "path"},
      {"hf://datasets/a/b/c//d", "path"},
  };
  for (const auto& [text, fault] : cases) {
    const Status status = ParseHubAddress(text).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), AllOf(HasSubstr(fault), HasSubstr("for example hf://"))) << text;
  }
}

TEST(HubAddressTest, WhateverIsAcceptedIsSafeAndReadsAgain) {
  const std::string alphabet[] = {
      "hf://", "datasets/", "models/", "@", "/",  ".",    "..", "%2F", "%2e", "a", "B-c", "refs/",
      "pr",    "pr/",       "1",       "*", "\\", "\x01", "--", "_",   "%",   "[", "\xff"};
  Random random(7);
  int accepted = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string text = random.Below(10) > 0 ? "hf://" : "";
    for (uint64_t n = random.Below(9); n > 0; --n) {
      text += alphabet[random.Below(std::size(alphabet))];
    }
    const Result<HubAddress> address = ParseHubAddress(text);
    if (!address.ok()) continue;
    ++accepted;
    EXPECT_TRUE(IsSafePath(address->repository)) << text;
    EXPECT_TRUE(IsSafePath(address->revision)) << text;
    EXPECT_TRUE(address->path.empty() || IsSafePath(address->path)) << text;
    const Result<HubAddress> again = ParseHubAddress(address->Text());
    ASSERT_TRUE(again.ok()) << text << " -> " << address->Text();
    EXPECT_EQ(again->Text(), address->Text());
    EXPECT_EQ(again->repository, address->repository) << text;
    EXPECT_EQ(again->revision, address->revision) << text;
    EXPECT_EQ(again->path, address->path) << text;
    EXPECT_EQ(again->kind, address->kind) << text;
  }
  EXPECT_GT(accepted, 500);
}

TEST(HubAddressTest, CommitHashes) {
  EXPECT_TRUE(IsCommitHash("0123456789abcdef0123456789abcdef01234567"));
  EXPECT_FALSE(IsCommitHash("0123456789ABCDEF0123456789abcdef01234567"));
  EXPECT_FALSE(IsCommitHash("0123456"));
}

}  // namespace
}  // namespace thresher
