#include "base/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/random.h"

namespace thresher {
namespace {

double SumOf(const std::vector<double>& values) {
  ExactSum sum;
  for (const double value : values) sum.Add(value);
  return sum.ToDouble();
}

// The slow twin: keeps the exact sum as doubles that do not overlap (Shewchuk 1997), and rounds
// them by comparing with the neighbours of their plain sum.
double SlowSum(const std::vector<double>& values) {
  std::vector<double> parts;
  for (double value : values) {
    std::vector<double> next;
    for (double part : parts) {
      if (std::fabs(value) < std::fabs(part)) std::swap(value, part);
      const double high = value + part;
      const double low = part - (high - value);
      if (low != 0) next.push_back(low);
      value = high;
    }
    next.push_back(value);
    parts = next;
  }
  // As math.fsum of Python rounds: from the largest part down, with a look at ties.
  double high = 0;
  double low = 0;
  while (!parts.empty()) {
    const double x = high;
    const double y = parts.back();
    parts.pop_back();
    high = x + y;
    low = y - (high - x);
    if (low != 0) break;
  }
  if (!parts.empty() && ((low < 0 && parts.back() < 0) || (low > 0 && parts.back() > 0))) {
    const double twice = low * 2;
    const double moved = high + twice;
    if (twice == moved - high) high = moved;
  }
  return high;
}

TEST(ExactSumTest, SimpleSums) {
  EXPECT_EQ(SumOf({}), 0);
  EXPECT_EQ(SumOf({1, 2, 3.5}), 6.5);
  EXPECT_EQ(SumOf({-1, -2}), -3);
  EXPECT_EQ(SumOf({1e300, 1, -1e300}), 1);
  EXPECT_EQ(SumOf({5e-324, 5e-324}), 1e-323);
  EXPECT_EQ(SumOf({-5e-324}), -5e-324);
  const double largest = std::numeric_limits<double>::max();
  EXPECT_EQ(SumOf({largest, largest, -largest}), largest);
  EXPECT_EQ(SumOf({largest, largest}), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(SumOf({1, std::nan("")})));
}

TEST(ExactSumTest, RoundsToNearestAndTiesToEven) {
  const double half_ulp = std::ldexp(1, -53);
  EXPECT_EQ(SumOf({1, half_ulp}), 1);
  EXPECT_EQ(SumOf({1, half_ulp, 5e-324}), 1 + 2 * half_ulp);
  EXPECT_EQ(SumOf({1 + 2 * half_ulp, half_ulp}), 1 + 4 * half_ulp);
  EXPECT_EQ(SumOf({-1, -half_ulp, -5e-324}), -1 - 2 * half_ulp);
}

TEST(ExactSumTest, EqualsTheSlowTwinInAnyOrderAndAnyDivision) {
  Random random(7);
  for (int round = 0; round < 2'000; ++round) {
    const int spread = 1 + static_cast<int>(random.Below(round % 2 == 0 ? 40 : 900));
    std::vector<double> values(1 + random.Below(60));
    for (double& value : values) {
      const int exponent = static_cast<int>(random.Below(static_cast<uint64_t>(spread)));
      value = std::ldexp(random.Uniform() - 0.5, exponent - spread / 2);
    }
    const double expected = SlowSum(values);
    ASSERT_EQ(SumOf(values), expected) << "round " << round;
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.Below(i)]);
    ExactSum left;
    ExactSum right;
    for (const double value : values) (random.Below(2) == 0 ? left : right).Add(value);
    right.Merge(left);
    ASSERT_EQ(right.ToDouble(), expected) << "round " << round;
  }
}

}  // namespace
}  // namespace thresher
