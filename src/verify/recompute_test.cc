#include "verify/recompute.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace thresher {
namespace {

TEST(PickSequencesTest, PicksAsManyAsAskedForAndEachOnce) {
  const std::vector<int64_t> counts = {10, 0, 30, 60};
  for (const double fraction : {0.01, 0.1, 0.5, 1.0}) {
    const auto picked = PickSequences("seed", fraction, counts);
    EXPECT_EQ(picked.size(), static_cast<size_t>(fraction * 100));
    std::set<std::pair<int64_t, int64_t>> seen;
    for (const PickedSequence& sequence : picked) {
      EXPECT_TRUE(seen.emplace(sequence.unit, sequence.sequence).second);
      EXPECT_GE(sequence.sequence, 0);
      EXPECT_LT(sequence.sequence, counts[static_cast<size_t>(sequence.unit)]);
    }
  }
}

TEST(PickSequencesTest, AtLeastOneUnlessTurnedOff) {
  EXPECT_EQ(PickSequences("seed", 1e-9, {5}).size(), 1U);
  EXPECT_EQ(PickSequences("seed", 0, {5}).size(), 0U);
  EXPECT_EQ(PickSequences("seed", 1, {}).size(), 0U);
  EXPECT_EQ(PickSequences("seed", 1, {0, 0}).size(), 0U);
}

TEST(PickSequencesTest, TheSeedDecides) {
  const std::vector<int64_t> counts(50, 20);
  const auto flat = [&](const char* seed) {
    std::vector<int64_t> numbers;
    for (const PickedSequence& sequence : PickSequences(seed, 0.05, counts)) {
      numbers.push_back(sequence.unit * 20 + sequence.sequence);
    }
    return numbers;
  };
  EXPECT_EQ(flat("a"), flat("a"));
  EXPECT_NE(flat("a"), flat("b"));
}

// Over many seeds each sequence is picked about equally often.
TEST(PickSequencesTest, IsUniform) {
  std::vector<int> times(20, 0);
  for (int seed = 0; seed < 4000; ++seed) {
    for (const PickedSequence& sequence : PickSequences(std::to_string(seed), 0.25, {8, 12})) {
      ++times[static_cast<size_t>(sequence.unit * 8 + sequence.sequence)];
    }
  }
  // 1000 expected; the standard deviation is about 27.
  for (const int count : times) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace thresher
