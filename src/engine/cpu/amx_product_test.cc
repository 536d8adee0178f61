#include "engine/cpu/amx_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "engine/cpu/aligned_buffer.h"
#include "engine/cpu/numbers_for_test.h"

namespace thresher {
namespace {

struct Case {
  int64_t rows;
  int64_t inner;
  int64_t columns;
  bool has_bias = false;
  bool accumulates = false;
};

// Which of the two ways to pack is used.
enum class Given { kColumns, kRows };

// A product of random numbers, and the same by plain loops.
class Product {
 public:
  Product(const Case& c, Given given)
      : case_(c),
        given_(given),
        left_(RandomFloats(c.rows * c.inner, 1), c.rows, c.inner, DType::kBf16),
        right_(RandomFloats(c.inner * c.columns, 2), given == Given::kRows ? c.inner : c.columns,
               (given == Given::kRows ? c.columns : c.inner) + 3, DType::kBf16),
        bias_(RandomFloats(c.columns, 3)),
        before_(RandomFloats(c.rows * c.columns, 4)) {}

  // The first `rows` rows. There is a gap between the panels.
  std::vector<double> Run(int64_t rows, DType out_dtype) const {
    const int64_t panel_bytes = AmxPanelBytes(case_.inner) + 128;
    AlignedBuffer packed;
    packed.Reserve(RoundUp(case_.columns, kAmxBlock) / kAmxBlock * panel_bytes);
    const auto pack = given_ == Given::kRows ? AmxPackRows : AmxPackColumns;
    pack(right_.view(), case_.inner, case_.columns, panel_bytes, packed.data());
    const std::vector<float> before(before_.begin(), before_.begin() + rows * case_.columns);
    TestRows out(before, rows, case_.columns, out_dtype);
    AmxMultiply({.rows = rows,
                 .inner = case_.inner,
                 .columns = case_.columns,
                 .left = left_.view().data,
                 .right = packed.data(),
                 .panel_bytes = panel_bytes,
                 .bias = case_.has_bias ? bias_.data() : nullptr,
                 .accumulates = case_.accumulates,
                 .out_dtype = out_dtype,
                 .out = out.view().data});
    return out.Values();
  }

  std::vector<double> PlainLoops() const {
    std::vector<double> out;
    for (int64_t r = 0; r < case_.rows; ++r) {
      for (int64_t c = 0; c < case_.columns; ++c) {
        double sum = case_.has_bias ? bias_[static_cast<size_t>(c)] : 0.0;
        if (case_.accumulates) sum = before_[static_cast<size_t>(r * case_.columns + c)];
        for (int64_t i = 0; i < case_.inner; ++i) {
          sum += left_.At(r, i) * (given_ == Given::kRows ? right_.At(i, c) : right_.At(c, i));
        }
        out.push_back(sum);
      }
    }
    return out;
  }

 private:
  const Case case_;
  const Given given_;
  const TestRows left_;
  const TestRows right_;
  const std::vector<float> bias_;
  const std::vector<float> before_;
};

const Case kCases[] = {
    {.rows = 1, .inner = 32, .columns = 1},
    {.rows = 1, .inner = 64, .columns = 24, .has_bias = true},
    {.rows = 15, .inner = 32, .columns = 17, .accumulates = true},
    {.rows = 16, .inner = 96, .columns = 16, .has_bias = true},
    {.rows = 33, .inner = 256, .columns = 33, .accumulates = true},
    {.rows = 48, .inner = 320, .columns = 80},
    {.rows = 65, .inner = 288, .columns = 65, .has_bias = true},
    {.rows = 256, .inner = 576, .columns = 96, .has_bias = true},
};

class AmxProductTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!AmxIsUsable()) GTEST_SKIP() << "this processor has no AMX";
  }
};

TEST_F(AmxProductTest, EqualsPlainLoops) {
  for (const Case& c : kCases) {
    for (const Given given : {Given::kColumns, Given::kRows}) {
      SCOPED_TRACE(std::to_string(c.rows) + " x " + std::to_string(c.inner) + " x " +
                   std::to_string(c.columns));
      const Product product(c, given);
      const std::vector<double> expected = product.PlainLoops();
      EXPECT_LT(RelativeError(product.Run(c.rows, DType::kF32), expected), 1e-6);
      if (c.accumulates) continue;
      EXPECT_LT(RelativeError(product.Run(c.rows, DType::kBf16), expected),
                RoundingBound(DType::kBf16));
    }
  }
}

TEST_F(AmxProductTest, ARowDoesNotDependOnTheNumberOfRows) {
  const Case c = {.rows = 130, .inner = 608, .columns = 70};
  const Product product(c, Given::kColumns);
  const std::vector<double> all = product.Run(c.rows, DType::kF32);
  for (const int64_t rows : {1, 16, 31, 32, 63, 64, 129}) {
    const std::vector<double> fewer = product.Run(rows, DType::kF32);
    EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), all.begin())) << rows;
  }
}

// The same bytes as a product in f32 that GateRows gates, but for subnormal numbers.
TEST_F(AmxProductTest, GatesAreThoseOfGateRows) {
  for (const Case& c : {Case{.rows = 1, .inner = 32, .columns = 32},
                        Case{.rows = 47, .inner = 96, .columns = 96, .has_bias = true},
                        Case{.rows = 64, .inner = 320, .columns = 224}}) {
    const int64_t width = c.columns / 2;
    // Some are so large that the sigmoid is 0 or 1.
    std::vector<float> values = RandomFloats(c.rows * c.inner, 1);
    for (size_t i = 0; i < values.size(); i += 7) values[i] *= 100;
    const TestRows left(values, c.rows, c.inner, DType::kBf16);
    const TestRows right(RandomFloats(c.columns * c.inner, 2), c.columns, c.inner + 3,
                         DType::kBf16);
    const std::vector<float> bias = RandomFloats(c.columns, 3);
    AlignedBuffer packed;
    packed.Reserve(AmxPackedBytes(c.inner, c.columns));
    AmxProduct product = {.rows = c.rows,
                          .inner = c.inner,
                          .columns = c.columns,
                          .left = left.view().data,
                          .right = packed.data(),
                          .panel_bytes = AmxPanelBytes(c.inner)};

    TestRows sums(c.rows, c.columns, c.columns, DType::kF32);
    TestRows expected(c.rows, width, width, DType::kBf16);
    AmxPackColumns(right.view(), c.inner, c.columns, product.panel_bytes, packed.data());
    product.bias = c.has_bias ? bias.data() : nullptr;
    product.out = sums.view().data;
    AmxMultiply(product);
    Rows ups = sums.view();
    ups.data += width * DTypeBytes(DType::kF32);
    GateRows({c.rows, width}, sums.view(), ups, expected.view());

    TestRows out(c.rows, width, width, DType::kBf16);
    AmxPackGated(right.view(), c.inner, width, packed.data());
    std::vector<float> gated_bias(bias.size());
    for (int64_t column = 0; column < c.columns; ++column) {
      gated_bias[static_cast<size_t>(AmxGatedPosition(column, width))] =
          bias[static_cast<size_t>(column)];
    }
    product.bias = c.has_bias ? gated_bias.data() : nullptr;
    product.is_gated = true;
    product.out = out.view().data;
    AmxMultiply(product);
    std::vector<double> numbers = expected.Values();
    for (double& number : numbers) {
      if (std::abs(number) < std::numeric_limits<float>::min()) number = 0;
    }
    EXPECT_EQ(out.Values(), numbers) << c.rows;
  }
}

// Zeros fill up whole steps: 5 inputs in a product of 32 whose left operand has zeros there.
TEST_F(AmxProductTest, MissingInputsAreZero) {
  constexpr int64_t kInputs = 5;
  const TestRows right(RandomFloats(kInputs * 3, 1), 3, kInputs, DType::kBf16);
  std::vector<float> values(kAmxBlock, 0.0F);
  for (size_t i = 0; i < kInputs; ++i) values[i] = 1.0F;
  const TestRows left(values, 1, kAmxBlock, DType::kBf16);
  AlignedBuffer packed;
  packed.Reserve(AmxPackedBytes(kInputs, 3));
  std::fill_n(packed.data(), packed.bytes(), std::byte{0xff});
  AmxPackColumns(right.view(), kInputs, 3, AmxPanelBytes(kInputs), packed.data());
  TestRows out(1, 3, 3, DType::kF32);
  AmxMultiply({.rows = 1,
               .inner = kAmxBlock,
               .columns = 3,
               .left = left.view().data,
               .right = packed.data(),
               .panel_bytes = AmxPanelBytes(kInputs),
               .out = out.view().data});
  for (int64_t c = 0; c < 3; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < kInputs; ++i) sum += right.At(c, i);
    EXPECT_NEAR(out.At(0, c), sum, 1e-6);
  }
}

}  // namespace
}  // namespace thresher
