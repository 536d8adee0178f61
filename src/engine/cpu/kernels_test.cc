#include "engine/cpu/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include "engine/common/rope_table.h"
#include "engine/cpu/numbers_for_test.h"
#include "shard/each_target_for_test.h"

namespace thresher {
namespace {

constexpr int64_t kWidths[] = {1, 3, 16, 17, 31, 64, 72, 100, 576};
constexpr int64_t kRowCount = 3;
constexpr int64_t kGap = 5;

class KernelTest : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(, KernelTest, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& test) { return std::string(DTypeName(test.param)); });

TEST_P(KernelTest, Normalize) {
  ForEachTarget([&] {
    for (const int64_t width : kWidths) {
      const TestRows in(RandomFloats(kRowCount * width, 1), kRowCount, width + kGap, DType::kF32);
      const std::vector<float> weight = RandomFloats(width, 2);
      TestRows out(kRowCount, width, width + 2 * kGap, GetParam());
      NormalizeRows({kRowCount, width}, in.view(), weight.data(), 1e-5F, out.view());
      std::vector<double> expected;
      for (int64_t r = 0; r < kRowCount; ++r) {
        double squares = 0;
        for (int64_t c = 0; c < width; ++c) squares += in.At(r, c) * in.At(r, c);
        const double factor = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
        for (int64_t c = 0; c < width; ++c) {
          expected.push_back(in.At(r, c) * factor * weight[static_cast<size_t>(c)]);
        }
      }
      EXPECT_LT(RelativeError(out.Values(), expected), RoundingBound(GetParam())) << width;
      EXPECT_TRUE(out.GapsAreUntouched());
    }
  });
}

TEST(KernelsTest, AddOverAnOperand) {
  ForEachTarget([&] {
    for (const int64_t width : kWidths) {
      const TestRows a(RandomFloats(kRowCount * width, 1), kRowCount, width + kGap, DType::kF32);
      const TestRows b(RandomFloats(kRowCount * width, 2), kRowCount, width, DType::kF32);
      std::vector<double> expected;
      for (int64_t r = 0; r < kRowCount; ++r) {
        for (int64_t c = 0; c < width; ++c) {
          expected.push_back(static_cast<float>(a.At(r, c)) + static_cast<float>(b.At(r, c)));
        }
      }
      AddRows({kRowCount, width}, a.view(), b.view(), a.view());
      EXPECT_EQ(a.Values(), expected);
      EXPECT_TRUE(a.GapsAreUntouched());
    }
  });
}

TEST_P(KernelTest, Gate) {
  ForEachTarget([&] {
    for (const int64_t width : kWidths) {
      std::vector<float> gates = RandomFloats(kRowCount * width, 1);
      for (float& gate : gates) gate *= 30;
      const TestRows gate(gates, kRowCount, 2 * width, DType::kF32);
      const TestRows up(RandomFloats(kRowCount * width, 2), kRowCount, width + kGap, DType::kF32);
      TestRows out(kRowCount, width, width + kGap, GetParam());
      GateRows({kRowCount, width}, gate.view(), up.view(), out.view());
      std::vector<double> expected;
      for (int64_t r = 0; r < kRowCount; ++r) {
        for (int64_t c = 0; c < width; ++c) {
          const double x = gate.At(r, c);
          expected.push_back(x / (1 + std::exp(-x)) * up.At(r, c));
          // Small results far below zero are nearly as exact as large ones (a little less where
          // there is no fused multiply-add).
          EXPECT_NEAR(out.At(r, c), expected.back(),
                      std::abs(expected.back()) * (2 * RoundingBound(GetParam()) + 3e-6) + 1e-37);
        }
      }
      EXPECT_LT(RelativeError(out.Values(), expected), RoundingBound(GetParam())) << width;
      EXPECT_TRUE(out.GapsAreUntouched());
    }
  });
}

TEST_P(KernelTest, GateAtTheEndsOfTheRange) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ForEachTarget([&] {
    const TestRows gate({infinity, nan, 3e38F, -3e38F, -150.0F, 0.0F}, 1, 6, DType::kF32);
    const TestRows up({1, 1, 1, 1, 1, 1}, 1, 6, DType::kF32);
    TestRows out(1, 6, 6, GetParam());
    GateRows({1, 6}, gate.view(), up.view(), out.view());
    EXPECT_EQ(out.At(0, 0), infinity);
    EXPECT_TRUE(std::isnan(out.At(0, 1)));
    EXPECT_NEAR(out.At(0, 2), gate.At(0, 2), 2e36);
    EXPECT_EQ(out.At(0, 3), 0);
    EXPECT_NEAR(out.At(0, 4), 0, 1e-37);
    EXPECT_EQ(out.At(0, 5), 0);
  });
}

TEST(KernelsTest, ConvertRoundsToNearestEven) {
  ForEachTarget([&] {
    for (const int64_t width : kWidths) {
      const std::vector<float> values = RandomFloats(kRowCount * width, 3);
      const TestRows in(values, kRowCount, width + kGap, DType::kF32);
      const TestRows expected(values, kRowCount, width, DType::kBf16);
      TestRows narrow(kRowCount, width, width + kGap, DType::kBf16);
      TestRows wide(kRowCount, width, width + kGap, DType::kF32);
      ConvertRows({kRowCount, width}, in.view(), narrow.view());
      ConvertRows({kRowCount, width}, narrow.view(), wide.view());
      EXPECT_EQ(narrow.Values(), expected.Values());
      EXPECT_EQ(wide.Values(), expected.Values());
      EXPECT_TRUE(narrow.GapsAreUntouched() && wide.GapsAreUntouched());
    }
  });
}

TEST_P(KernelTest, RotateAlsoInPlaceAndPartially) {
  ForEachTarget([&] {
    for (const auto& [head_dim, count] :
         {std::pair<int64_t, int64_t>{2, 1}, {24, 12}, {64, 32}, {80, 40}, {80, 10}, {128, 64}}) {
      constexpr int64_t kHeads = 3;
      std::vector<float> frequencies = RandomFloats(count, 4);
      RopeTable table(frequencies);
      table.Reserve(10);
      table.Reserve(5000);
      const std::vector<int32_t> positions = {0, 4999, 7};
      const int64_t width = kHeads * head_dim;
      const TestRows in(RandomFloats(kRowCount * width, 5), kRowCount, width + kGap, DType::kF32);
      TestRows out(kRowCount, width, width, GetParam());
      const RopeShape shape = {kRowCount, kHeads, head_dim, count};
      RotateRows(shape, table.data(), positions.data(), in.view(), out.view());

      std::vector<double> expected = in.Values();
      for (int64_t r = 0; r < kRowCount; ++r) {
        for (int64_t c = 0; c < width; ++c) {
          const int64_t channel = c % head_dim;
          if (channel >= count) continue;
          const double angle = static_cast<double>(positions[static_cast<size_t>(r)]) *
                               static_cast<double>(frequencies[static_cast<size_t>(channel)]);
          const double a = in.At(r, c);
          const double b = in.At(r, c + count);
          const auto at = static_cast<size_t>(r * width + c);
          expected[at] = a * std::cos(angle) - b * std::sin(angle);
          expected[at + static_cast<size_t>(count)] = a * std::sin(angle) + b * std::cos(angle);
        }
      }
      EXPECT_LT(RelativeError(out.Values(), expected), RoundingBound(GetParam())) << head_dim;
      if (GetParam() != DType::kF32) continue;
      RotateRows(shape, table.data(), positions.data(), in.view(), in.view());
      EXPECT_EQ(in.Values(), out.Values());
      EXPECT_TRUE(in.GapsAreUntouched());
    }
  });
}

TEST_P(KernelTest, DivideByOneNumberPerRow) {
  ForEachTarget([&] {
    for (const int64_t width : kWidths) {
      const TestRows in(RandomFloats(kRowCount * width, 1), kRowCount, width, DType::kF32);
      TestRows out(kRowCount, width, width + kGap, GetParam());
      const std::vector<float> divisors = {1.0F, 3.0F, 7.0F};
      DivideRows({kRowCount, width}, in.view(), divisors.data(), out.view());
      std::vector<double> expected = in.Values();
      for (size_t i = 0; i < expected.size(); ++i) {
        expected[i] /= divisors[i / static_cast<size_t>(width)];
      }
      EXPECT_LT(RelativeError(out.Values(), expected), RoundingBound(GetParam()));
      EXPECT_TRUE(out.GapsAreUntouched());
    }
  });
}

// Two blocks of keys, one after the other, against softmax over both at once.
TEST_P(KernelTest, SoftmaxOverTwoBlocks) {
  constexpr int64_t kKeys = 64;
  constexpr int64_t kQueries = 20;
  constexpr int64_t kHeads = 2;
  constexpr int64_t kRows = kQueries * kHeads;
  constexpr int64_t kHeadDim = 5;
  constexpr int64_t kFirstQuery = 90;
  ForEachTarget([&] {
    for (const int64_t window : {0, 1, 7, 40, 100}) {
      std::vector<float> scores = RandomFloats(2 * kRows * kKeys, 6);
      for (float& score : scores) score *= 40;
      std::vector<float> largest(kRows, -HUGE_VALF);
      std::vector<float> sum(kRows, 0.0F);
      std::vector<float> mixed(kRows * kHeadDim);
      std::vector<TestRows> probabilities;
      std::vector<float> largest_before;
      for (int64_t b = 0; b < 2; ++b) {
        largest_before = largest;
        std::fill(mixed.begin(), mixed.end(), 1.0F);
        probabilities.emplace_back(kRows, kKeys, kKeys, GetParam());
        UpdateSoftmax({.rows = kRows,
                       .rows_per_query = kHeads,
                       .first_query = kFirstQuery,
                       .first_key = b * kKeys,
                       .keys = kKeys,
                       .window = window,
                       .head_dim = kHeadDim,
                       .scale = 0.5F,
                       .scores = scores.data() + b * kRows * kKeys,
                       .probabilities = probabilities.back().view(),
                       .largest = largest.data(),
                       .sum = sum.data(),
                       .mixed = mixed.data()});
      }
      for (int64_t r = 0; r < kRows; ++r) {
        const auto row = static_cast<size_t>(r);
        const int64_t query = kFirstQuery + r / kHeads;
        const auto score = [&](int64_t key) {
          const int64_t block = key / kKeys;
          return 0.5 * scores[static_cast<size_t>((block * kRows + r) * kKeys + key % kKeys)];
        };
        const int64_t begin = window == 0 ? 0 : std::max<int64_t>(0, query - window + 1);
        double total = 0;
        double top = -HUGE_VAL;
        for (int64_t key = begin; key <= query; ++key) top = std::max(top, score(key));
        for (int64_t key = begin; key <= query; ++key) total += std::exp(score(key) - top);
        EXPECT_NEAR(largest[row], top / std::log(2.0), 1e-4);
        EXPECT_NEAR(sum[row] / total, 1, 2e-5) << "row " << r << " window " << window;
        // What was mixed in before the second block shrinks by as much as the maximum rose.
        const double shrink = std::exp2(static_cast<double>(largest_before[row]) - largest[row]);
        EXPECT_NEAR(mixed[row * kHeadDim], shrink, 1e-5);
        for (int64_t key = kKeys; key < 2 * kKeys; ++key) {
          const double p = probabilities[1].At(r, key - kKeys);
          const bool is_seen = key >= begin && key <= query;
          const double expected = is_seen ? std::exp(score(key) - top) : 0.0;
          EXPECT_NEAR(p, expected, expected * (RoundingBound(GetParam()) * 2 + 2e-5) + 1e-37);
        }
      }
    }
  });
}

}  // namespace
}  // namespace thresher
