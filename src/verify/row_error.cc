#include "verify/row_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"

namespace thresher {
namespace {

constexpr double kLargestF16 = 65504;

// The shortest prompts that the tolerances were measured with have 23 tokens.
constexpr size_t kRowsThatAverage = 20;

// Sums over one row or several.
struct Sums {
  double squares = 0;  // of the expected values
  double difference_squares = 0;
  double storage_squares = 0;  // of the bounds of the rows' storage errors

  void Add(const Sums& other) {
    squares += other.squares;
    difference_squares += other.difference_squares;
    storage_squares += other.storage_squares;
  }
};

// What is stored where a value has no finite stored form.
bool IsSameSpecialValue(float expected, float stored, DType dtype) {
  if (std::isnan(expected)) return std::isnan(stored);
  if (std::isinf(expected)) return !std::isfinite(stored);
  // A finite value: only f16 has a range that f32 values leave; near its end either may round.
  return dtype == DType::kF16 && std::isinf(stored) && std::abs(expected) > kLargestF16 * 0.9 &&
         std::signbit(expected) == std::signbit(stored);
}

Sums SumRow(std::span<const float> expected, std::span<const float> stored, DType dtype) {
  Sums sums;
  const bool row_is_finite = std::all_of(expected.begin(), expected.end(),
                                         [](float value) { return std::isfinite(value); });
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isfinite(expected[i]) && std::isfinite(stored[i])) {
      const double value = expected[i];
      const double difference = stored[i] - value;
      sums.squares += value * value;
      sums.difference_squares += difference * difference;
    } else if (!(HasScale(dtype) && !row_is_finite) &&
               !IsSameSpecialValue(expected[i], stored[i], dtype)) {
      sums.difference_squares = std::numeric_limits<double>::infinity();
    }
  }
  const double storage = row_is_finite ? StorageErrorBound(expected, dtype) : 0;
  sums.storage_squares = storage * storage;
  return sums;
}

struct Judgement {
  double relative;
  double of_limit;
};

// `floor`: an L2 norm below which a relative error would say nothing.
Judgement Judge(const Sums& sums, double tolerance, double floor) {
  const double error = std::sqrt(sums.difference_squares);
  if (error == 0) return {0, 0};
  const double norm = std::max(std::sqrt(sums.squares), floor);
  const double limit = tolerance * norm + std::sqrt(sums.storage_squares);
  return {error / std::max(norm, std::numeric_limits<double>::min()),
          error / std::max(limit, std::numeric_limits<double>::min())};
}

}  // namespace

ComputeTolerance ToleranceOf(DType compute) {
  THRESHER_CHECK(compute == DType::kF32 || compute == DType::kBf16);
  constexpr double kLargestRow = 0.3;
  const double tensor = compute == DType::kF32 ? 5e-5 : 3e-2;
  return {.tensor = tensor, .row = std::min(10 * tensor, kLargestRow)};
}

double StorageErrorBound(std::span<const float> row, DType dtype) {
  double squares = 0;
  double largest = 0;
  for (const float value : row) {
    squares += double{value} * value;
    largest = std::max(largest, std::abs(double{value}));
  }
  const double norm = std::sqrt(squares);
  const double root_width = std::sqrt(static_cast<double>(row.size()));
  switch (dtype) {
    case DType::kF32:
      return 0;
    case DType::kBf16:
      return std::ldexp(norm, -8);
    case DType::kF16:
      return std::ldexp(norm, -11) + std::ldexp(root_width, -25);
    case DType::kF8E4M3:
      return std::ldexp(norm, -4) + std::ldexp(largest / 448 * root_width, -10);
    case DType::kI8:
      return largest / 127 / 2 * root_width;
    case DType::kI32:
    case DType::kI64:
      break;
  }
  THRESHER_CHECK(!"a dtype that rows can be stored in");
}

RowError CompareRows(std::span<const float> expected, std::span<const float> stored, int64_t width,
                     DType dtype, const ComputeTolerance& tolerance,
                     const RowSelection& selection) {
  THRESHER_CHECK(width > 0 && expected.size() == stored.size());
  const auto row_width = static_cast<size_t>(width);
  const size_t rows = expected.size() / row_width;
  const size_t first_of_rest = selection.has_first_token ? 1 : 0;
  std::vector<Sums> of_rows(rows);
  Sums of_rest;
  for (size_t row = 0; row < rows; ++row) {
    of_rows[row] = SumRow(expected.subspan(row * row_width, row_width),
                          stored.subspan(row * row_width, row_width), dtype);
    if (row >= first_of_rest) of_rest.Add(of_rows[row]);
  }
  RowError worst;
  const auto consider = [&](const Judgement& judgement, auto&& where) {
    if (judgement.of_limit > worst.of_limit) {
      worst.relative = judgement.relative;
      worst.of_limit = judgement.of_limit;
      worst.where = where();
    }
  };
  const size_t rest = rows - std::min(rows, first_of_rest);
  if (rest >= (selection.is_whole ? 1 : kRowsThatAverage)) {
    consider(Judge(of_rest, tolerance.tensor, 0),
             [&] { return fmt::format("rows {} to {} together", first_of_rest, rows - 1); });
  }
  // A row far smaller than the others is measured against them: what it is made of was as large.
  const double rest_row_norm =
      rest > 0 ? std::sqrt(of_rest.squares / static_cast<double>(rest)) : 0;
  for (size_t row = 0; row < rows; ++row) {
    const bool is_apart = row < first_of_rest;
    const Judgement judgement = Judge(of_rows[row], is_apart ? tolerance.tensor : tolerance.row,
                                      is_apart ? 0 : 0.1 * rest_row_norm);
    if (judgement.of_limit > 1) ++worst.rows_wrong;
    consider(judgement, [&] { return fmt::format("row {}", row); });
  }
  return worst;
}

}  // namespace thresher
