#include "verify/finding.h"

#include <gtest/gtest.h>

namespace thresher {
namespace {

TEST(FindingTest, NumbersInARowAreARange) {
  EXPECT_EQ(RangesText({}), "");
  EXPECT_EQ(RangesText({7}), "7");
  EXPECT_EQ(RangesText({4, 2, 3}), "2-4");
  EXPECT_EQ(RangesText({0, 1, 5, 7, 8, 9}), "0-1, 5, 7-9");
}

}  // namespace
}  // namespace thresher
