#ifndef THRESHER_BASE_EXACT_SUM_H_
#define THRESHER_BASE_EXACT_SUM_H_

#include <array>
#include <cstdint>

namespace thresher {

// A sum of doubles without rounding: the result does not depend on the order of the terms, nor on
// how they were divided among sums that were merged. A fixed-point number that is wide enough for
// every double (Kulisch's accumulator). Not thread-safe.
class ExactSum {
 public:
  void Add(double value);
  void Merge(const ExactSum& other);

  // The sum, rounded once to the nearest double, ties to even; infinite beyond the largest double,
  // and NaN or infinite if such a value was added.
  double ToDouble() const;

 private:
  // Digit i counts units of 2^(32 i - kFractionBits). Digits are signed and may be larger than 32
  // bits between normalisations.
  static constexpr int kFractionBits = 1152;  // the smallest double, normalised, ends at 2^-1126
  static constexpr int kDigits = 72;          // up to 2^1152: room for 2^63 of the largest doubles
  static constexpr int64_t kMaxPending = int64_t{1} << 29;

  // Carries, so that all digits but the last are in [0, 2^32).
  void Normalise();

  std::array<int64_t, kDigits> digits_{};
  int64_t pending_ = 0;    // terms since the digits were in range
  double not_finite_ = 0;  // the plain sum of what is not finite
};

}  // namespace thresher

#endif  // THRESHER_BASE_EXACT_SUM_H_
