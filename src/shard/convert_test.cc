#include "shard/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/random.h"
#include "shard/each_target_for_test.h"

namespace thresher {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The obvious twin: a small floating-point format as the sorted list of its non-negative values.
// Rounding is a search for the nearest one.
class Format {
 public:
  // `largest` is the bit pattern of the largest finite value.
  Format(int mantissa_bits, int bias, int largest) {
    for (int bits = 0; bits <= largest + 1; ++bits) {  // the last one stands for "overflow"
      const int exponent = bits >> mantissa_bits;
      const int mantissa = bits & ((1 << mantissa_bits) - 1);
      const double leading = exponent == 0 ? 0.0 : std::ldexp(1.0, mantissa_bits);
      const int power = std::max(exponent, 1) - bias - mantissa_bits;
      values_.push_back(std::ldexp(leading + mantissa, power));
    }
  }

  int largest() const { return static_cast<int>(values_.size()) - 2; }
  double Value(int bits) const { return values_[static_cast<size_t>(bits)]; }

  // The pattern nearest to magnitude >= 0; ties go to the even pattern.
  int Nearest(double magnitude) const {
    const auto above = std::lower_bound(values_.begin(), values_.end(), magnitude);
    if (above == values_.end()) return largest() + 1;
    const int high = static_cast<int>(above - values_.begin());
    if (high == 0) return 0;
    const double to_high = Value(high) - magnitude;
    const double to_low = magnitude - Value(high - 1);
    if (to_high == to_low) return high % 2 == 0 ? high : high - 1;
    return to_high < to_low ? high : high - 1;
  }

 private:
  std::vector<double> values_;
};

const Format& Bf16() {
  static const Format format(7, 127, 0x7f7f);
  return format;
}
const Format& F16() {
  static const Format format(10, 15, 0x7bff);
  return format;
}
const Format& F8E4M3() {
  static const Format format(3, 7, 0x7e);
  return format;
}

int SlowEncode16(const Format& format, float value, int quiet_nan) {
  const int sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return sign | quiet_nan;
  return sign | format.Nearest(std::fabs(value));
}

int SlowEncodeBf16(float value) {
  if (!std::isnan(value)) return SlowEncode16(Bf16(), value, 0);
  return static_cast<int>(std::bit_cast<uint32_t>(value) >> 16) | 0x40;  // the payload's upper bits
}

uint8_t SlowEncodeF8(float value) {
  const int sign = std::signbit(value) ? 0x80 : 0;
  return static_cast<uint8_t>(sign | F8E4M3().Nearest(std::fabs(value)));
}

uint8_t SlowEncodeInt8(float value) {
  const double down = std::floor(static_cast<double>(value));
  const double rest = value - down;
  const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(down, 2.0) != 0.0);
  return static_cast<uint8_t>(static_cast<int8_t>(up ? down + 1 : down));
}

struct Encoded {
  std::vector<uint8_t> bytes;
  std::vector<float> scales;
};

// One row, element by element, as convert.h says.
void SlowEncodeRow(const float* row, int64_t width, DType dtype, Encoded& out) {
  float max_abs = 0;
  bool finite = true;
  for (int64_t i = 0; i < width; ++i) {
    finite = finite && std::isfinite(row[i]);
    max_abs = std::max(max_abs, std::fabs(row[i]));
  }
  const float largest = dtype == DType::kI8 ? 127.0f : 448.0f;
  const float scale = max_abs == 0 ? 1.0f : std::max(max_abs / largest, FLT_MIN);
  if (HasScale(dtype)) out.scales.push_back(finite ? scale : kNan);
  for (int64_t i = 0; i < width; ++i) {
    uint32_t bits = 0;
    switch (dtype) {
      case DType::kF32:
        bits = std::bit_cast<uint32_t>(row[i]);
        break;
      case DType::kBf16:
        bits = static_cast<uint32_t>(SlowEncodeBf16(row[i]));
        break;
      case DType::kF16:
        bits = static_cast<uint32_t>(SlowEncode16(F16(), row[i], 0x7e00));
        break;
      case DType::kF8E4M3:
        bits = finite ? SlowEncodeF8(row[i] / scale) : 0x7f;
        break;
      default:
        bits = finite ? SlowEncodeInt8(row[i] / scale) : 0;
    }
    for (int64_t byte = 0; byte < DTypeBytes(dtype); ++byte) {
      out.bytes.push_back(static_cast<uint8_t>(bits >> (8 * byte)));
    }
  }
}

float SlowDecode(uint32_t bits, DType dtype) {
  const auto small = [bits](const Format& format, uint32_t sign_bit) {
    const double value = format.Value(static_cast<int>(bits & (sign_bit - 1)));
    return static_cast<float>((bits & sign_bit) != 0 ? -value : value);
  };
  switch (dtype) {
    case DType::kF32:
      return std::bit_cast<float>(bits);
    case DType::kBf16:
      return std::bit_cast<float>(bits << 16);
    case DType::kF16:
      if ((bits & 0x7fff) > 0x7c00) return kNan;
      if ((bits & 0x7fff) == 0x7c00) return bits == 0x7c00 ? kInfinity : -kInfinity;
      return small(F16(), 0x8000);
    case DType::kF8E4M3:
      return (bits & 0x7f) == 0x7f ? kNan : small(F8E4M3(), 0x80);
    default:
      return static_cast<float>(static_cast<int8_t>(bits));
  }
}

constexpr DType kStored[] = {DType::kF32, DType::kBf16, DType::kF16, DType::kF8E4M3, DType::kI8};

// Every value of the format, the points halfway between neighbours, and the f32 next to each, with
// both signs: all that can go wrong in rounding.
std::vector<float> EdgesOf(const Format& format) {
  std::vector<float> edges;
  const auto add = [&edges](double value) {
    const float exact = static_cast<float>(value);
    for (const float near : {exact, std::nextafter(exact, 0.0f), std::nextafter(exact, FLT_MAX)}) {
      edges.push_back(near);
      edges.push_back(-near);
    }
  };
  for (int bits = 0; bits <= format.largest(); ++bits) {
    add(format.Value(bits));
    add((format.Value(bits) + format.Value(bits + 1)) / 2);
  }
  return edges;
}

std::vector<float> SpecialValues() {
  std::vector<float> values = {0.0f,    -0.0f,    kInfinity, -kInfinity, kNan,     -kNan,
                               FLT_MAX, -FLT_MAX, FLT_MIN,   -FLT_MIN,   65519.9f, 65520.0f,
                               65536.f, -65520.f, 1e-45f,    -1e-45f,    1e-39f,   5.9e-8f};
  // Signalling NaN, and NaN whose payload lies only in bits that are cut off.
  for (const uint32_t bits : {0x7f800001u, 0xff800001u, 0x7f80ffffu, 0x7fffffffu, 0xffffffffu}) {
    values.push_back(std::bit_cast<float>(bits));
  }
  return values;
}

void ExpectEncodes(const std::vector<float>& in, int64_t width, DType dtype) {
  const int64_t rows = static_cast<int64_t>(in.size()) / width;
  Encoded expected;
  for (int64_t row = 0; row < rows; ++row) {
    SlowEncodeRow(in.data() + row * width, width, dtype, expected);
  }
  std::vector<uint8_t> bytes(expected.bytes.size());
  std::vector<float> scales(expected.scales.size());
  EncodeRows(in.data(), rows, width, width, dtype, reinterpret_cast<std::byte*>(bytes.data()),
             scales.data());
  const int64_t element_bytes = DTypeBytes(dtype);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t element = i / static_cast<size_t>(element_bytes);
    ASSERT_EQ(bytes[i], expected.bytes[i])
        << DTypeName(dtype) << " byte " << i << " of value " << in[element] << ", bits " << std::hex
        << std::bit_cast<uint32_t>(in[element]);
  }
  for (size_t i = 0; i < scales.size(); ++i) {
    ASSERT_TRUE(scales[i] == expected.scales[i] ||
                (std::isnan(scales[i]) && std::isnan(expected.scales[i])))
        << scales[i] << " is not " << expected.scales[i];
  }
}

TEST(ConvertTest, RoundsEveryEdgeToNearestEven) {
  std::vector<float> edges = SpecialValues();
  for (const Format* format : {&Bf16(), &F16()}) {
    const std::vector<float> more = EdgesOf(*format);
    edges.insert(edges.end(), more.begin(), more.end());
  }
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16, DType::kF16}) {
      ExpectEncodes(edges, static_cast<int64_t>(edges.size()), dtype);
    }
  });
}

TEST(ConvertTest, RoundsRandomBitPatterns) {
  Random random(7);
  std::vector<float> values(1 << 17);
  for (float& value : values) value = std::bit_cast<float>(static_cast<uint32_t>(random.Next()));
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16, DType::kF16}) {
      ExpectEncodes(values, static_cast<int64_t>(values.size()), dtype);
    }
  });
}

TEST(ConvertTest, ScaledDtypesRoundEveryEdge) {
  // The largest value makes the scale exactly 1.
  std::vector<float> fp8 = {448.0f};
  for (const float edge : EdgesOf(F8E4M3())) {
    if (std::fabs(edge) <= 448.0f) fp8.push_back(edge);
  }
  std::vector<float> int8 = {-127.0f};
  for (int halves = -254; halves <= 254; ++halves) {
    const float value = static_cast<float>(halves) / 2;
    int8.insert(int8.end(), {value, std::nextafter(value, 0.0f)});
  }
  ForEachTarget([&] {
    ExpectEncodes(fp8, static_cast<int64_t>(fp8.size()), DType::kF8E4M3);
    ExpectEncodes(int8, static_cast<int64_t>(int8.size()), DType::kI8);
  });
}

TEST(ConvertTest, ScalesRowsOfEveryMagnitude) {
  Random random(8);
  const int64_t width = 24;
  std::vector<float> values;
  for (int exponent = -149; exponent <= 127; ++exponent) {
    for (int64_t i = 0; i < width; ++i) {
      const double value = std::ldexp(random.Uniform() * 4 - 2, exponent);
      values.push_back(static_cast<float>(std::clamp<double>(value, -FLT_MAX, FLT_MAX)));
    }
  }
  ForEachTarget([&] {
    ExpectEncodes(values, width, DType::kF8E4M3);
    ExpectEncodes(values, width, DType::kI8);
  });
}

TEST(ConvertTest, ZeroRowsAndDamagedRows) {
  const int64_t width = 21;
  std::vector<float> values;
  for (const float special : {0.0f, kNan, kInfinity, -kInfinity, -0.0f}) {
    for (const int64_t position : {int64_t{0}, int64_t{15}, width - 1}) {
      for (int64_t i = 0; i < width; ++i) {
        const float ordinary = special == 0.0f ? 0.0f : 1.0f;
        values.push_back(i == position ? special : ordinary);
      }
    }
  }
  ForEachTarget([&] {
    ExpectEncodes(values, width, DType::kF8E4M3);
    ExpectEncodes(values, width, DType::kI8);
  });
}

// Odd widths, rows further apart than they are wide, any alignment; nothing else is written.
TEST(ConvertTest, WidthsStridesAndAlignments) {
  Random random(9);
  const auto check = [&random](int64_t rows, int64_t width, int64_t stride, int64_t offset,
                               DType dtype) {
    std::vector<float> in(static_cast<size_t>(rows * stride), kNan);
    Encoded expected;
    for (int64_t row = 0; row < rows; ++row) {
      float* values = in.data() + row * stride;
      for (int64_t i = 0; i < width; ++i) values[i] = static_cast<float>(random.Uniform() - 0.5);
      SlowEncodeRow(values, width, dtype, expected);
    }
    const size_t bytes = expected.bytes.size();
    const size_t begin = static_cast<size_t>(offset);
    std::vector<uint8_t> out(begin + bytes + 64, 0xa5);
    std::vector<float> scales(static_cast<size_t>(rows), -1.0f);
    auto* stored = reinterpret_cast<std::byte*>(out.data() + begin);
    EncodeRows(in.data(), rows, width, stride, dtype, stored, scales.data());
    ASSERT_EQ(std::memcmp(stored, expected.bytes.data(), bytes), 0)
        << DTypeName(dtype) << " width " << width << " stride " << stride;
    for (size_t i = 0; i < begin; ++i) ASSERT_EQ(out[i], 0xa5);
    for (size_t i = begin + bytes; i < out.size(); ++i) ASSERT_EQ(out[i], 0xa5);
    if (HasScale(dtype)) {
      ASSERT_EQ(scales, expected.scales);
    }

    // The buffer is exactly as long as it must be, so that a sanitizer sees a write beyond it.
    std::vector<float> decoded(static_cast<size_t>(rows * width));
    DecodeRows(stored, scales.data(), rows, width, dtype, decoded.data());
    for (size_t i = 0; i < decoded.size(); ++i) {
      uint64_t bits = 0;
      const size_t element_bytes = static_cast<size_t>(DTypeBytes(dtype));
      std::memcpy(&bits, expected.bytes.data() + i * element_bytes, element_bytes);
      const float scale = HasScale(dtype) ? scales[i / static_cast<size_t>(width)] : 1.0f;
      ASSERT_EQ(decoded[i], SlowDecode(static_cast<uint32_t>(bits), dtype) * scale)
          << DTypeName(dtype);
    }
  };
  ForEachTarget([&] {
    for (const DType dtype : kStored) {
      for (const int64_t width : {1, 7, 24, 72, 576, 897}) {
        check(3, width, width, 0, dtype);
        check(3, width, width + 5, 1, dtype);
      }
      for (int64_t offset = 0; offset < 8; ++offset) check(2, 33, 40, offset, dtype);
    }
  });
}

TEST(ConvertTest, NoRowsAndNoColumns) {
  std::byte nothing{};
  float value = 1.0f;
  for (const DType dtype : kStored) {
    EncodeRows(&value, 0, 4, 4, dtype, &nothing, nullptr);
    DecodeRows(&nothing, nullptr, 0, 4, dtype, &value);
  }
  float scale = 0.0f;
  EncodeRows(&value, 1, 0, 0, DType::kI8, &nothing, &scale);
  EXPECT_EQ(scale, 1.0f);
}

TEST(ConvertTest, DecodesEveryBitPattern) {
  ForEachTarget([&] {
    for (const DType dtype : {DType::kBf16, DType::kF16, DType::kF8E4M3, DType::kI8}) {
      const size_t element_bytes = static_cast<size_t>(DTypeBytes(dtype));
      const size_t count = size_t{1} << (8 * element_bytes);
      std::vector<uint8_t> stored(count * element_bytes);
      for (size_t bits = 0; bits < count; ++bits) {
        std::memcpy(stored.data() + bits * element_bytes, &bits, element_bytes);
      }
      std::vector<float> decoded(count);
      const float scale = 0.37f;
      DecodeRows(reinterpret_cast<const std::byte*>(stored.data()), &scale, 1,
                 static_cast<int64_t>(count), dtype, decoded.data());
      for (size_t bits = 0; bits < count; ++bits) {
        const float value = SlowDecode(static_cast<uint32_t>(bits), dtype);
        const float expected = HasScale(dtype) ? value * scale : value;
        if (std::isnan(expected)) {
          ASSERT_TRUE(std::isnan(decoded[bits])) << DTypeName(dtype) << " " << bits;
        } else {
          ASSERT_EQ(std::bit_cast<uint32_t>(decoded[bits]), std::bit_cast<uint32_t>(expected))
              << DTypeName(dtype) << " " << bits;
        }
      }
    }
  });
}

}  // namespace
}  // namespace thresher
