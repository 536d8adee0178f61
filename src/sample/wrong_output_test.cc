#include "sample/wrong_output.h"

#include <gtest/gtest.h>

#include <set>

namespace thresher {
namespace {

TEST(WrongOutputTest, OneToThreeCellsHaveAnotherColor) {
  const ArcGrid right = {.rows = 2, .columns = 3, .cells = {0, 1, 2, 3, 4, 9}};
  std::set<int> counts;
  for (int64_t variant = 0; variant < 500; ++variant) {
    AugmentationRandom random(1, "task", variant, 6);
    const ArcGrid wrong = WrongOutput(right, random);
    ASSERT_EQ(wrong.rows, 2);
    ASSERT_EQ(wrong.columns, 3);
    int changed = 0;
    for (size_t i = 0; i < right.cells.size(); ++i) {
      ASSERT_LT(wrong.cells[i], kArcColorCount);
      changed += wrong.cells[i] != right.cells[i];
    }
    counts.insert(changed);
  }
  EXPECT_EQ(counts, (std::set<int>{1, 2, 3}));
}

TEST(WrongOutputTest, AGridOfOneCell) {
  const ArcGrid right = {.rows = 1, .columns = 1, .cells = {5}};
  for (int64_t variant = 0; variant < 100; ++variant) {
    AugmentationRandom random(1, "task", variant, 6);
    ASSERT_NE(WrongOutput(right, random).cells, right.cells);
  }
}

// Written down from the description in the header.
TEST(WrongOutputTest, DrawsAsDocumented) {
  const ArcGrid right = {.rows = 1, .columns = 4, .cells = {0, 0, 0, 0}};
  AugmentationRandom expected_draws(9, "t", 2, 6);
  std::vector<uint8_t> expected = right.cells;
  const uint64_t count = 1 + expected_draws.Below(3);
  std::set<uint64_t> changed;
  while (changed.size() < count) {
    const uint64_t place = expected_draws.Below(4);
    if (!changed.insert(place).second) continue;
    expected[place] = static_cast<uint8_t>((1 + expected_draws.Below(9)) % 10);
  }
  AugmentationRandom random(9, "t", 2, 6);
  EXPECT_EQ(WrongOutput(right, random).cells, expected);
}

}  // namespace
}  // namespace thresher
