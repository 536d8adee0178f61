#include "shard/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "shard/convert.h"
#include "shard/each_target_for_test.h"
#include "shard/merged_statistics.h"

namespace thresher {
namespace {

constexpr DType kStored[] = {DType::kF32, DType::kBf16, DType::kF16, DType::kF8E4M3, DType::kI8};

struct StoredRows {
  std::vector<std::byte> bytes = {};
  std::vector<float> scales = {};
  int64_t rows = 0;
  int64_t width = 0;
  DType dtype = DType::kF32;

  TensorStatistics Compute() const {
    return ComputeStatistics(bytes.data(), scales.data(), rows, width, dtype);
  }
};

StoredRows Store(const std::vector<float>& values, int64_t width, DType dtype) {
  StoredRows stored{.width = width, .dtype = dtype};
  stored.rows = static_cast<int64_t>(values.size()) / width;
  stored.bytes.resize(values.size() * static_cast<size_t>(DTypeBytes(dtype)));
  stored.scales.resize(static_cast<size_t>(stored.rows));
  EncodeRows(values.data(), stored.rows, width, width, dtype, stored.bytes.data(),
             stored.scales.data());
  return stored;
}

// The obvious twin, with the order of summation that statistics.cc writes down.
TensorStatistics SlowStatistics(const StoredRows& stored) {
  std::vector<float> values(static_cast<size_t>(stored.rows * stored.width));
  DecodeRows(stored.bytes.data(), stored.scales.data(), stored.rows, stored.width, stored.dtype,
             values.data());
  TensorStatistics total;
  const int64_t block_rows = std::max<int64_t>(1, 65536 / stored.width);
  for (int64_t begin = 0; begin < stored.rows; begin += block_rows) {
    double sum[16] = {};
    double sum_squares[16] = {};
    for (int64_t row = begin; row < std::min(stored.rows, begin + block_rows); ++row) {
      for (int64_t column = 0; column < stored.width; ++column) {
        const double value = values[static_cast<size_t>(row * stored.width + column)];
        ++total.count;
        if (!std::isfinite(value)) {
          ++total.not_finite;
          continue;
        }
        sum[column % 16] += value;
        sum_squares[column % 16] += value * value;
        total.max_abs = std::max(total.max_abs, std::fabs(value));
      }
    }
    for (const int apart : {8, 4, 2, 1}) {
      for (int lane = 0; lane < apart; ++lane) {
        sum[lane] += sum[lane + apart];
        sum_squares[lane] += sum_squares[lane + apart];
      }
    }
    total.sum += sum[0];
    total.sum_squares += sum_squares[0];
  }
  return total;
}

void ExpectSame(const TensorStatistics& actual, const TensorStatistics& expected) {
  EXPECT_EQ(actual.count, expected.count);
  EXPECT_EQ(actual.not_finite, expected.not_finite);
  EXPECT_EQ(actual.sum, expected.sum);  // to the last bit
  EXPECT_EQ(actual.sum_squares, expected.sum_squares);
  EXPECT_EQ(actual.max_abs, expected.max_abs);
}

std::vector<float> RandomValues(uint64_t seed, size_t count) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>((random.Uniform() - 0.3) * 20);
  return values;
}

TEST(StatisticsTest, EqualsTwinToTheLastBit) {
  for (const int64_t width : {1, 7, 16, 24, 72, 576, 897, 70001}) {
    const size_t rows = width < 100 ? 2000 : width < 1000 ? 150 : 2;
    const std::vector<float> values = RandomValues(3, rows * static_cast<size_t>(width));
    for (const DType dtype : kStored) {
      SCOPED_TRACE(testing::Message() << DTypeName(dtype) << " width " << width);
      const StoredRows stored = Store(values, width, dtype);
      const TensorStatistics expected = SlowStatistics(stored);
      ForEachTarget([&] { ExpectSame(stored.Compute(), expected); });
    }
  }
}

TEST(StatisticsTest, CountsWhatIsNotFiniteAndLeavesItOut) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> values = RandomValues(4, 40 * 37);
  values[0] = std::numeric_limits<float>::quiet_NaN();
  values[36] = kInfinity;
  values[37 * 20 + 5] = -kInfinity;
  for (const DType dtype : kStored) {
    SCOPED_TRACE(DTypeName(dtype));
    const StoredRows stored = Store(values, 37, dtype);
    const TensorStatistics expected = SlowStatistics(stored);
    EXPECT_EQ(expected.not_finite, HasScale(dtype) ? 2 * 37 : 3);
    ForEachTarget([&] { ExpectSame(stored.Compute(), expected); });
  }
}

TEST(StatisticsTest, ElementsTimesScaleMayOverflow) {
  StoredRows stored{.width = 3, .dtype = DType::kI8};
  stored.rows = 1;
  stored.bytes = {std::byte{100}, std::byte{0}, std::byte{1}};
  stored.scales = {1e37f};
  ForEachTarget([&] {
    const TensorStatistics statistics = stored.Compute();
    EXPECT_EQ(statistics.not_finite, 1);
    EXPECT_EQ(statistics.max_abs, 1e37f);
  });
}

TEST(StatisticsTest, ValuesAreTheExpectedOnes) {
  const StoredRows stored = Store({1, -2, 3, -4, 0.5f, 0}, 3, DType::kBf16);
  const TensorStatistics statistics = stored.Compute();
  EXPECT_EQ(statistics.count, 6);
  EXPECT_EQ(statistics.not_finite, 0);
  EXPECT_EQ(statistics.sum, -1.5);
  EXPECT_EQ(statistics.sum_squares, 30.25);
  EXPECT_EQ(statistics.max_abs, 4.0);
}

TEST(StatisticsTest, NothingHasStatisticsOfZero) {
  ExpectSame(ComputeStatistics(nullptr, nullptr, 0, 8, DType::kI8), TensorStatistics());
  ExpectSame(ComputeStatistics(nullptr, nullptr, 0, 0, DType::kBf16), TensorStatistics());
}

TEST(StatisticsTest, MergeAddsUp) {
  const std::vector<float> values = RandomValues(5, 64 * 48);
  const auto middle = values.begin() + 24 * 48;
  TensorStatistics merged = Store({values.begin(), middle}, 48, DType::kBf16).Compute();
  merged.Merge(Store({middle, values.end()}, 48, DType::kBf16).Compute());
  const TensorStatistics whole = Store(values, 48, DType::kBf16).Compute();
  EXPECT_EQ(merged.count, whole.count);
  EXPECT_NEAR(merged.sum, whole.sum, 1e-9);
  EXPECT_NEAR(merged.sum_squares, whole.sum_squares, 1e-7);
  EXPECT_EQ(merged.max_abs, whole.max_abs);
}

TEST(MergedStatisticsTest, DoesNotDependOnOrderOrDivision) {
  Random random(3);
  std::vector<TensorStatistics> shards(50);
  for (TensorStatistics& shard : shards) {
    shard.count = 1 + static_cast<int64_t>(random.Below(1000));
    shard.not_finite = static_cast<int64_t>(random.Below(2));
    shard.sum = std::ldexp(random.Uniform() - 0.5, static_cast<int>(random.Below(80)));
    shard.sum_squares = std::ldexp(random.Uniform(), static_cast<int>(random.Below(80)));
    shard.max_abs = random.Uniform();
  }
  MergedStatistics forward;
  for (const TensorStatistics& shard : shards) forward.Add(shard);
  MergedStatistics parts[3];
  for (size_t i = shards.size(); i-- > 0;) parts[random.Below(3)].Add(shards[i]);
  parts[1].Merge(parts[2]);
  parts[0].Merge(parts[1]);
  const TensorStatistics a = forward.Total();
  const TensorStatistics b = parts[0].Total();
  EXPECT_EQ(a.count, b.count);
  EXPECT_EQ(a.not_finite, b.not_finite);
  EXPECT_EQ(a.sum, b.sum);
  EXPECT_EQ(a.sum_squares, b.sum_squares);
  EXPECT_EQ(a.max_abs, b.max_abs);
}

TEST(MomentsTest, OfFiniteValues) {
  // 3, 4 and a NaN.
  const Moments moments =
      MomentsOf({.count = 3, .not_finite = 1, .sum = 7, .sum_squares = 25, .max_abs = 4});
  EXPECT_DOUBLE_EQ(moments.mean, 3.5);
  EXPECT_DOUBLE_EQ(moments.standard_deviation, 0.5);
  EXPECT_DOUBLE_EQ(moments.norm, 5);
  EXPECT_DOUBLE_EQ(moments.root_mean_square, std::sqrt(12.5));
  EXPECT_EQ(MomentsOf({.count = 1, .not_finite = 1}).mean, 0);
}

}  // namespace
}  // namespace thresher
