#include "base/random.h"

#include <gtest/gtest.h>

namespace thresher {
namespace {

// Vectors of Landon Curt Noll's fnv_test.
TEST(SeedOfTest, IsFnv1a) {
  EXPECT_EQ(SeedOf(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(SeedOf("a"), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(SeedOf("foobar"), 0x85944171f73967e8ULL);
  EXPECT_NE(SeedOf("\xff"), SeedOf("\x7f"));
}

}  // namespace
}  // namespace thresher
