#ifndef THRESHER_VERIFY_ROW_ERROR_H_
#define THRESHER_VERIFY_ROW_ERROR_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/dtype.h"

namespace thresher {

// How far the stored rows of one sequence may be from rows that were computed again in the run's
// arithmetic, on another type of processor (the same type gives the same bits).
//
// Two parts add up. The first is what another order of summation costs, as a relative L2 error:
//   f32   5e-5  measured 1.8e-5 between AVX-512 and AVX2, see below for model and prompts
//   bf16  3e-2  measured 2.0e-2: SmolLM2-135M (30 layers), every hook point, prompts of 23 to 254
//               tokens, bf16 instructions against bf16 emulated with AVX-512. Comparing bf16 with
//               f32 instead would need 7.3e-2, and 0.41 for a single row: too wide to find a row of
//               a similar token
// The second is what storing costs, as a bound that holds for any value (rounding is to nearest):
//   f32   0
//   bf16  2^-8 of the value      f16   2^-11 of it, and 2^-25 below the normal range
//   fp8   2^-4 of the value, and 2^-10 of the row's scale below the normal range
//   int8  half of the row's scale for each value; the scale is max|row| / 127
// It depends on the row where the dtype has a scale: a row with one huge value is stored coarsely.
struct ComputeTolerance {
  double tensor = 0;  // relative L2 of many rows together
  double row = 0;     // of a single row: ten times as much, and never so much that the row of
                      // another token (relative error about 1.4) would pass
};
// kF32 or kBf16; others have none.
ComputeTolerance ToleranceOf(DType compute);

// The largest L2 distance between a row and its stored form.
double StorageErrorBound(std::span<const float> row, DType dtype);

// The comparison of one hook point of one sequence.
struct RowError {
  double relative = 0;  // the relative L2 error that came nearest to its limit, or passed it most
  double of_limit = 0;  // that error as a fraction of what is allowed: above 1 is wrong
  std::string where;    // "rows 1 to 41 together", "row 0"
  int64_t rows_wrong = 0;  // single rows above their limit
};

// Which rows of a sequence are compared.
struct RowSelection {
  bool has_first_token = true;  // and so begins with it
  bool is_whole = true;         // no token is left out
};

// `expected` and `stored` [rows, width]. The row of a sequence's first token is judged apart from
// the others: it carries values a thousand times larger in many models, and would hide everything
// else. The others are judged together as well as one by one, unless they are a few of many:
// together those are no more exact than each by itself. Values that are not finite must be the same
// kind in both, except that f16 stores what is beyond its range as infinity.
RowError CompareRows(std::span<const float> expected, std::span<const float> stored, int64_t width,
                     DType dtype, const ComputeTolerance& tolerance,
                     const RowSelection& selection = {});

}  // namespace thresher

#endif  // THRESHER_VERIFY_ROW_ERROR_H_
