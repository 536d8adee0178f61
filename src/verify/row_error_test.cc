#include "verify/row_error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "shard/convert.h"

namespace thresher {
namespace {

constexpr int64_t kRows = 20;
constexpr int64_t kWidth = 32;

constexpr DType kDTypes[] = {DType::kF32, DType::kBf16, DType::kF16, DType::kF8E4M3, DType::kI8};

// Values of very different sizes; the first row is a thousand times as large as the others.
std::vector<float> SomeRows(uint64_t seed) {
  Random random(seed);
  std::vector<float> rows;
  for (int64_t i = 0; i < kRows * kWidth; ++i) {
    const double size = std::exp2(6 * random.Uniform() - 3) * (i < kWidth ? 1000 : 1);
    rows.push_back(static_cast<float>(size * (random.Uniform() - 0.5)));
  }
  return rows;
}

std::vector<float> StoredAndRead(const std::vector<float>& rows, DType dtype) {
  std::vector<std::byte> bytes(rows.size() * static_cast<size_t>(DTypeBytes(dtype)));
  std::vector<float> scales(kRows);
  EncodeRows(rows.data(), kRows, kWidth, kWidth, dtype, bytes.data(), scales.data());
  std::vector<float> read(rows.size());
  DecodeRows(bytes.data(), scales.data(), kRows, kWidth, dtype, read.data());
  return read;
}

RowError Compare(const std::vector<float>& expected, const std::vector<float>& stored,
                 DType dtype) {
  return CompareRows(expected, stored, kWidth, dtype, ToleranceOf(DType::kF32));
}

TEST(RowErrorTest, EqualRowsHaveNoError) {
  const std::vector<float> rows = SomeRows(1);
  const RowError error = Compare(rows, rows, DType::kF32);
  EXPECT_EQ(error.of_limit, 0);
  EXPECT_EQ(error.rows_wrong, 0);
}

TEST(RowErrorTest, StoringStaysBelowItsBound) {
  for (const DType dtype : kDTypes) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const std::vector<float> rows = SomeRows(seed);
      const std::vector<float> stored = StoredAndRead(rows, dtype);
      for (int64_t row = 0; row < kRows; ++row) {
        const auto begin = static_cast<size_t>(row * kWidth);
        double squares = 0;
        for (size_t i = begin; i < begin + kWidth; ++i) {
          squares += std::pow(double{stored[i]} - rows[i], 2);
        }
        const double bound = StorageErrorBound(std::span(rows).subspan(begin, kWidth), dtype);
        // The row's scale is itself rounded to f32.
        EXPECT_LE(std::sqrt(squares), bound * (1 + 1e-5)) << DTypeName(dtype) << ", row " << row;
        // A bound that is far too wide would find nothing.
        EXPECT_GE(std::sqrt(squares), bound / 16) << DTypeName(dtype) << ", row " << row;
      }
      EXPECT_LE(Compare(rows, stored, dtype).of_limit, 1) << DTypeName(dtype);
    }
  }
}

TEST(RowErrorTest, RowsThatChangedPlacesAreWrong) {
  for (const DType dtype : kDTypes) {
    const std::vector<float> rows = SomeRows(3);
    std::vector<float> stored = StoredAndRead(rows, dtype);
    std::swap_ranges(stored.begin() + 5 * kWidth, stored.begin() + 6 * kWidth,
                     stored.begin() + 6 * kWidth);
    const RowError error = Compare(rows, stored, dtype);
    EXPECT_GT(error.of_limit, 2) << DTypeName(dtype);
    EXPECT_EQ(error.rows_wrong, 2) << DTypeName(dtype);
  }
}

TEST(RowErrorTest, ALargeFirstRowHidesNothing) {
  std::vector<float> rows = SomeRows(4);
  for (int64_t i = 0; i < kWidth; ++i) rows[static_cast<size_t>(i)] *= 1e6F;
  std::vector<float> stored = rows;
  for (int64_t i = 7 * kWidth; i < 8 * kWidth; ++i) stored[static_cast<size_t>(i)] = 0;
  EXPECT_GT(Compare(rows, stored, DType::kF32).of_limit, 1);
  EXPECT_EQ(Compare(rows, stored, DType::kF32).rows_wrong, 1);
}

TEST(RowErrorTest, TheFirstRowIsJudgedToo) {
  const std::vector<float> rows = SomeRows(5);
  std::vector<float> stored = rows;
  stored[0] *= 1.01F;
  const RowError error = Compare(rows, stored, DType::kF32);
  EXPECT_GT(error.of_limit, 1);
  EXPECT_EQ(error.where, "row 0");
}

TEST(RowErrorTest, SpecialValuesMustBeTheSame) {
  std::vector<float> rows = SomeRows(6);
  rows[40] = NAN;
  rows[41] = INFINITY;
  EXPECT_EQ(Compare(rows, rows, DType::kF32).of_limit, 0);
  std::vector<float> stored = rows;
  stored[40] = 1;
  EXPECT_GT(Compare(rows, stored, DType::kF32).of_limit, 1e9);
  stored = rows;
  stored[42] = NAN;
  EXPECT_GT(Compare(rows, stored, DType::kF32).of_limit, 1e9);
}

TEST(RowErrorTest, OnlyF16HasARangeThatValuesLeave) {
  std::vector<float> rows = SomeRows(7);
  rows[40] = -1e6F;
  for (const DType dtype : {DType::kBf16, DType::kF16, DType::kF8E4M3, DType::kI8}) {
    EXPECT_LE(Compare(rows, StoredAndRead(rows, dtype), dtype).of_limit, 1) << DTypeName(dtype);
  }
  std::vector<float> stored = rows;
  stored[40] = -INFINITY;
  EXPECT_GT(Compare(rows, stored, DType::kBf16).of_limit, 1);
  stored[40] = INFINITY;
  EXPECT_GT(Compare(rows, stored, DType::kF16).of_limit, 1);
}

// Without a sequence's first token, no row is held to the tighter limit of many rows together.
TEST(RowErrorTest, AFewSelectedRowsAreJudgedOneByOne) {
  const std::vector<float> all = SomeRows(4);
  const double tolerance = ToleranceOf(DType::kF32).tensor;
  const auto compare = [&](size_t rows, double error, const RowSelection& selection) {
    const std::vector<float> expected(all.begin() + kWidth,
                                      all.begin() + static_cast<ptrdiff_t>((1 + rows) * kWidth));
    std::vector<float> stored = expected;
    for (float& value : stored) value *= static_cast<float>(1 + error);
    return CompareRows(expected, stored, kWidth, DType::kF32, ToleranceOf(DType::kF32), selection)
        .of_limit;
  };
  for (const size_t rows : {1, 2, 19}) {
    const RowSelection selected = {.has_first_token = false, .is_whole = false};
    EXPECT_LT(compare(rows, 5 * tolerance, selected), 1) << rows;
    EXPECT_GT(compare(rows, 20 * tolerance, selected), 1) << rows;
    EXPECT_GT(compare(rows, 5 * tolerance, {}), 1) << rows;
    EXPECT_GT(compare(rows, 5 * tolerance, {.is_whole = false}), 1) << rows << ": the first token";
  }
}

}  // namespace
}  // namespace thresher
