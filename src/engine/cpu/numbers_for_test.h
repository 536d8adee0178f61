#ifndef THRESHER_ENGINE_CPU_NUMBERS_FOR_TEST_H_
#define THRESHER_ENGINE_CPU_NUMBERS_FOR_TEST_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/random.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/processor.h"

namespace thresher {

// What products can be computed in on this machine.
inline std::vector<DType> ComputeDTypes() {
  if (OneDnnHasAvx512()) return {DType::kF32, DType::kBf16};
  return {DType::kF32};
}

// Uniform in [-1, 1).
inline std::vector<float> RandomFloats(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(2 * random.Uniform() - 1);
  return values;
}

// Round to nearest even by the definition: of the two neighbours, the nearer one; in the middle,
// the even one. Finite numbers only.
inline uint16_t ToBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t lower = bits >> 16;
  const uint32_t rest = bits & 0xffff;
  const bool up = rest > 0x8000 || (rest == 0x8000 && (lower & 1) != 0);
  return static_cast<uint16_t>(lower + (up ? 1 : 0));
}

inline float FromBf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// A matrix of f32 or bf16 elements whose rows are `stride` elements apart, for kernels; what lies
// between the rows holds a mark that must stay. The memory ends with the last row's last element,
// so that a sanitizer sees what goes beyond.
class TestRows {
 public:
  TestRows(int64_t rows, int64_t width, int64_t stride, DType dtype)
      : width_(width),
        rows_(rows),
        bytes_(static_cast<size_t>(((rows - 1) * stride + width) * DTypeBytes(dtype)), kMark) {
    view_ = {.data = bytes_.data(), .dtype = dtype, .stride = stride};
  }

  TestRows(const std::vector<float>& values, int64_t rows, int64_t stride, DType dtype)
      : TestRows(rows, static_cast<int64_t>(values.size()) / rows, stride, dtype) {
    for (size_t i = 0; i < values.size(); ++i) {
      std::byte* at = Element(static_cast<int64_t>(i) / width_, static_cast<int64_t>(i) % width_);
      const uint16_t rounded = ToBf16(values[i]);
      if (dtype == DType::kF32) std::memcpy(at, &values[i], sizeof(float));
      if (dtype == DType::kBf16) std::memcpy(at, &rounded, sizeof(rounded));
    }
  }

  Rows view() const { return view_; }
  int64_t width() const { return width_; }

  double At(int64_t row, int64_t column) const {
    const std::byte* at = Element(row, column);
    float value;
    uint16_t bits;
    if (view_.dtype == DType::kF32) {
      std::memcpy(&value, at, sizeof(value));
      return value;
    }
    std::memcpy(&bits, at, sizeof(bits));
    return FromBf16(bits);
  }

  std::vector<double> Values() const {
    std::vector<double> values;
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = 0; c < width_; ++c) values.push_back(At(r, c));
    }
    return values;
  }

  bool GapsAreUntouched() const {
    const int64_t element_bytes = DTypeBytes(view_.dtype);
    for (int64_t r = 0; r + 1 < rows_; ++r) {
      const std::byte* begin = view_.row(r) + width_ * element_bytes;
      if (!std::all_of<const std::byte*>(begin, view_.row(r + 1),
                                         [](std::byte b) { return b == kMark; })) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr std::byte kMark{0x5a};

  std::byte* Element(int64_t row, int64_t column) const {
    return view_.row(row) + column * DTypeBytes(view_.dtype);
  }

  int64_t width_;
  int64_t rows_;
  std::vector<std::byte> bytes_;
  Rows view_;
};

// |actual - expected| / |expected|, both as L2 norms; infinity if anything is not finite.
template <typename T>
double RelativeError(std::span<const T> actual, std::span<const double> expected) {
  if (actual.size() != expected.size()) return HUGE_VAL;
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double d = static_cast<double>(actual[i]) - expected[i];
    difference += d * d;
    size += expected[i] * expected[i];
  }
  const double error = std::sqrt(difference) / std::max(std::sqrt(size), 1e-30);
  return std::isfinite(error) ? error : HUGE_VAL;
}

inline double RelativeError(const std::vector<double>& actual,
                            const std::vector<double>& expected) {
  return RelativeError<double>(std::span<const double>(actual), std::span<const double>(expected));
}

// What rounding to the dtype (once) may cost, relative.
inline double RoundingBound(DType dtype) { return dtype == DType::kF32 ? 4e-7 : 2.5e-3; }

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_NUMBERS_FOR_TEST_H_
