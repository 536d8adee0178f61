#include "base/exact_sum.h"

#include <bit>
#include <cmath>

namespace thresher {
namespace {

constexpr uint64_t kDigitMask = 0xffffffff;
constexpr int kMantissaBits = 53;

}  // namespace

void ExactSum::Add(double value) {
  if (!std::isfinite(value)) {
    not_finite_ += value;
    return;
  }
  if (value == 0) return;
  // |value| = mantissa * 2^(place - kFractionBits)
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(value), &exponent);
  const auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, kMantissaBits));
  int place = exponent - kMantissaBits + kFractionBits;
  const auto digit = static_cast<size_t>(place / 32);
  const int shift = place % 32;
  const uint64_t low = (mantissa & kDigitMask) << shift;
  const uint64_t high = (mantissa >> 32) << shift;
  const int64_t sign = value < 0 ? -1 : 1;
  digits_[digit] += sign * static_cast<int64_t>(low & kDigitMask);
  digits_[digit + 1] += sign * static_cast<int64_t>((low >> 32) + (high & kDigitMask));
  digits_[digit + 2] += sign * static_cast<int64_t>(high >> 32);
  if (++pending_ == kMaxPending) Normalise();
}

void ExactSum::Normalise() {
  for (size_t i = 0; i + 1 < digits_.size(); ++i) {
    const int64_t carry = digits_[i] >> 32;
    digits_[i] -= carry * (int64_t{1} << 32);
    digits_[i + 1] += carry;
  }
  pending_ = 0;
}

void ExactSum::Merge(const ExactSum& other) {
  ExactSum normal = other;
  normal.Normalise();
  Normalise();
  for (size_t i = 0; i < digits_.size(); ++i) digits_[i] += normal.digits_[i];
  not_finite_ += other.not_finite_;
  Normalise();
}

double ExactSum::ToDouble() const {
  if (not_finite_ != 0) return not_finite_;
  ExactSum normal = *this;
  normal.Normalise();
  const bool is_negative = normal.digits_.back() < 0;
  if (is_negative) {
    for (int64_t& digit : normal.digits_) digit = -digit;
    normal.Normalise();
  }
  const auto& digits = normal.digits_;
  auto top = static_cast<int>(digits.size()) - 1;
  while (top >= 0 && digits[static_cast<size_t>(top)] == 0) --top;
  if (top < 0) return 0;
  const auto digit_at = [&](int index) {
    return index < 0 ? uint64_t{0} : static_cast<uint64_t>(digits[static_cast<size_t>(index)]);
  };
  // The 64 highest bits, the first of them 1; the rest matters only for ties.
  const auto top_bits = static_cast<int>(std::bit_width(digit_at(top)));
  const int from_third = 32 - top_bits;
  uint64_t bits = (digit_at(top) << (64 - top_bits)) | (digit_at(top - 1) << from_third);
  if (top_bits < 32) bits |= digit_at(top - 2) >> top_bits;
  bool has_rest = (digit_at(top - 2) & ((uint64_t{1} << top_bits) - 1)) != 0;
  if (top_bits == 32) has_rest = digit_at(top - 2) != 0;
  for (int i = top - 3; i >= 0 && !has_rest; --i) has_rest = digit_at(i) != 0;
  constexpr int kDropped = 64 - kMantissaBits;
  constexpr uint64_t kHalf = uint64_t{1} << (kDropped - 1);
  const uint64_t dropped = bits & ((uint64_t{1} << kDropped) - 1);
  uint64_t mantissa = bits >> kDropped;
  if (dropped > kHalf || (dropped == kHalf && (has_rest || (mantissa & 1) != 0))) ++mantissa;
  // Sums of doubles are multiples of 2^-1074: nothing is dropped where ldexp would have to round.
  const int exponent = 32 * top + top_bits - kMantissaBits - kFractionBits;
  const double magnitude = std::ldexp(static_cast<double>(mantissa), exponent);
  return is_negative ? -magnitude : magnitude;
}

}  // namespace thresher
