#include "base/nearest_name.h"

#include <gtest/gtest.h>

namespace thresher {
namespace {

const std::vector<std::string> kNames = {"model", "dtype", "shard-bytes", "part-bytes", "layers"};

TEST(NearestNameTest, OneMistakeIsUnderstood) {
  EXPECT_EQ(NearestName("shard-byte", kNames), "shard-bytes");
  EXPECT_EQ(NearestName("shard-bytess", kNames), "shard-bytes");
  EXPECT_EQ(NearestName("shard-bytse", kNames), "shard-bytes") << "swapped letters";
  EXPECT_EQ(NearestName("madel", kNames), "model");
  EXPECT_EQ(NearestName("dtypes", kNames), "dtype");
}

TEST(NearestNameTest, OtherWordsAreNot) {
  EXPECT_EQ(NearestName("temperature", kNames), "");
  EXPECT_EQ(NearestName("", kNames), "");
  EXPECT_EQ(NearestName("--port", {"--spot"}), "") << "two of four letters";
  EXPECT_EQ(NearestName("model", {}), "");
  EXPECT_EQ(NearestName(std::string(1'000'000, 'a'), kNames), "");
}

TEST(NearestNameTest, TheFirstOfEqualsWins) {
  EXPECT_EQ(NearestName("ab", {"ax", "ay"}), "ax");
  EXPECT_EQ(DidYouMean("ab", {"ax", "ay"}), "; did you mean 'ax'?");
  EXPECT_EQ(DidYouMean("ab", {"xyz"}), "");
}

}  // namespace
}  // namespace thresher
