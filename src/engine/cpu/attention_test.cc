#include "engine/cpu/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "engine/cpu/amx_product.h"
#include "engine/cpu/numbers_for_test.h"

namespace thresher {
namespace {

struct Case {
  std::vector<int64_t> lengths;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t window = 0;
};

std::vector<int64_t> Offsets(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> offsets = {0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

// q, k and v side by side in one matrix, as the engine has them.
struct Inputs {
  Inputs(const Case& c, DType dtype, uint64_t seed)
      : offsets(Offsets(c.lengths)),
        joined(RandomFloats(offsets.back() * (c.heads + 2 * c.kv_heads) * c.head_dim, seed),
               offsets.back(), (c.heads + 2 * c.kv_heads) * c.head_dim, dtype) {}

  Rows Part(int64_t column) const {
    Rows rows = joined.view();
    rows.data += column * DTypeBytes(rows.dtype);
    return rows;
  }

  std::vector<int64_t> offsets;
  TestRows joined;
};

AttentionArguments Arguments(const Case& c, const Inputs& inputs, const Rows& out) {
  return {.q = inputs.Part(0),
          .k = inputs.Part(c.heads * c.head_dim),
          .v = inputs.Part((c.heads + c.kv_heads) * c.head_dim),
          .out = out,
          .sequence_offsets = inputs.offsets,
          .heads = c.heads,
          .kv_heads = c.kv_heads,
          .head_dim = c.head_dim,
          .scale = 1.5F,
          .window = c.window};
}

TestRows RunAttention(const Case& c, const Inputs& inputs, int threads, bool on_tiles) {
  TestRows out(inputs.offsets.back(), c.heads * c.head_dim, c.heads * c.head_dim + 3,
               inputs.joined.view().dtype);
  MatmulCache cache(dnnl::engine(dnnl::engine::kind::cpu, 0));
  BlockedAttention attention(cache, threads, on_tiles);
  const Status status = attention.Run(Arguments(c, inputs, out.view()));
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(out.GapsAreUntouched());
  return out;
}

std::vector<double> PlainAttention(const Case& c, const Inputs& inputs) {
  const int64_t width = c.heads * c.head_dim;
  std::vector<double> out(static_cast<size_t>(inputs.offsets.back() * width));
  for (size_t s = 0; s < c.lengths.size(); ++s) {
    for (int64_t i = 0; i < c.lengths[s]; ++i) {
      for (int64_t h = 0; h < c.heads; ++h) {
        const int64_t row = inputs.offsets[s] + i;
        const int64_t k = (c.heads + h / (c.heads / c.kv_heads)) * c.head_dim;
        const int64_t v = k + c.kv_heads * c.head_dim;
        const int64_t first = c.window == 0 ? 0 : std::max<int64_t>(0, i - c.window + 1);
        std::vector<double> weights;
        for (int64_t j = first; j <= i; ++j) {
          double score = 0;
          for (int64_t d = 0; d < c.head_dim; ++d) {
            score += inputs.joined.At(row, h * c.head_dim + d) *
                     inputs.joined.At(inputs.offsets[s] + j, k + d);
          }
          weights.push_back(std::exp(1.5 * score));
        }
        const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
        for (int64_t d = 0; d < c.head_dim; ++d) {
          double mixed = 0;
          for (int64_t j = first; j <= i; ++j) {
            mixed += weights[static_cast<size_t>(j - first)] *
                     inputs.joined.At(inputs.offsets[s] + j, v + d);
          }
          out[static_cast<size_t>(row * width + h * c.head_dim + d)] = mixed / total;
        }
      }
    }
  }
  return out;
}

// The ways to compute attention in a dtype on this machine.
std::vector<bool> OnTiles(DType dtype) {
  if (dtype == DType::kBf16 && AmxIsUsable()) return {false, true};
  return {false};
}

const Case kCases[] = {
    {.lengths = {1}, .heads = 1, .kv_heads = 1, .head_dim = 24},
    {.lengths = {1, 63, 64, 65}, .heads = 2, .kv_heads = 1, .head_dim = 64},
    {.lengths = {5, 130, 2}, .heads = 6, .kv_heads = 2, .head_dim = 80},
    {.lengths = {300, 321}, .heads = 3, .kv_heads = 3, .head_dim = 24},
    {.lengths = {577}, .heads = 7, .kv_heads = 1, .head_dim = 16},
    {.lengths = {70}, .heads = 2, .kv_heads = 2, .head_dim = 256},
    {.lengths = {129}, .heads = 4, .kv_heads = 1, .head_dim = 96},
    {.lengths = {1, 66}, .heads = 2, .kv_heads = 1, .head_dim = 128},
    {.lengths = {40}, .heads = 2, .kv_heads = 1, .head_dim = 5},
    {.lengths = {3, 200}, .heads = 2, .kv_heads = 1, .head_dim = 32, .window = 1},
    {.lengths = {600, 90}, .heads = 2, .kv_heads = 1, .head_dim = 32, .window = 64},
    {.lengths = {600}, .heads = 2, .kv_heads = 2, .head_dim = 32, .window = 100},
    {.lengths = {100}, .heads = 2, .kv_heads = 2, .head_dim = 32, .window = 1000},
};

TEST(AttentionTest, EqualsPlainAttention) {
  for (const DType dtype : ComputeDTypes()) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(testing::PrintToString(c.lengths) + " head_dim " + std::to_string(c.head_dim) +
                   " window " + std::to_string(c.window));
      const Inputs inputs(c, dtype, 1);
      const std::vector<double> expected = PlainAttention(c, inputs);
      for (const bool on_tiles : OnTiles(dtype)) {
        EXPECT_LT(RelativeError(RunAttention(c, inputs, 2, on_tiles).Values(), expected),
                  dtype == DType::kF32 ? 2e-6 : 5e-3)
            << on_tiles;
      }
    }
  }
}

TEST(AttentionTest, ThreadsDoNotChangeAByte) {
  for (const DType dtype : ComputeDTypes()) {
    for (const Case& c : kCases) {
      const Inputs inputs(c, dtype, 2);
      for (const bool on_tiles : OnTiles(dtype)) {
        const std::vector<double> one = RunAttention(c, inputs, 1, on_tiles).Values();
        EXPECT_EQ(RunAttention(c, inputs, 2, on_tiles).Values(), one);
        EXPECT_EQ(RunAttention(c, inputs, 3, on_tiles).Values(), one);
      }
    }
  }
}

// A sequence full of NaN on either side must not reach its neighbour.
TEST(AttentionTest, SequencesAreIsolated) {
  for (const DType dtype : ComputeDTypes()) {
    const Case three = {.lengths = {70, 30, 100}, .heads = 2, .kv_heads = 1, .head_dim = 16};
    const Case alone = {.lengths = {30}, .heads = 2, .kv_heads = 1, .head_dim = 16};
    const int64_t width = 4 * 16;
    const Inputs single(alone, dtype, 3);
    const std::vector<double> middle = single.joined.Values();
    std::vector<float> values(static_cast<size_t>(200 * width),
                              std::numeric_limits<float>::quiet_NaN());
    std::copy(middle.begin(), middle.end(), values.begin() + 70 * width);
    Inputs packed(three, dtype, 3);
    packed.joined = TestRows(values, 200, width, dtype);
    for (const bool on_tiles : OnTiles(dtype)) {
      const std::vector<double> all = RunAttention(three, packed, 2, on_tiles).Values();
      const std::vector<double> expected = RunAttention(alone, single, 2, on_tiles).Values();
      EXPECT_TRUE(std::isnan(all[0]));
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), all.begin() + 70 * 32));
    }
  }
}

// Scores that rise or fall so far along a sequence that exponentials relative to an early one
// overflow, or to a late one vanish.
TEST(AttentionTest, ScoresMayRiseAndFallFar) {
  const Case c = {.lengths = {1200}, .heads = 2, .kv_heads = 1, .head_dim = 16};
  constexpr size_t kWidth = 64;
  for (const float slope : {0.25F, -0.25F}) {
    std::vector<float> values = RandomFloats(1200 * kWidth, 5);
    for (size_t t = 0; t < 1200; ++t) {
      // Of both queries and of the key, the first element alone.
      std::fill_n(values.begin() + static_cast<int64_t>(t * kWidth), 48, 0.0F);
      values[t * kWidth] = 1.0F;
      values[t * kWidth + 16] = -1.0F;
      values[t * kWidth + 32] = slope * static_cast<float>(t);
    }
    for (const DType dtype : ComputeDTypes()) {
      Inputs inputs(c, dtype, 5);
      inputs.joined = TestRows(values, 1200, kWidth, dtype);
      const std::vector<double> expected = PlainAttention(c, inputs);
      for (const bool on_tiles : OnTiles(dtype)) {
        EXPECT_LT(RelativeError(RunAttention(c, inputs, 2, on_tiles).Values(), expected),
                  dtype == DType::kF32 ? 5e-5 : 5e-3)
            << DTypeName(dtype) << " " << on_tiles << " " << slope;
      }
    }
  }
}

// One NaN makes the rows that see it NaN, and no others.
TEST(AttentionTest, ANanIsSeenByLaterRowsAlone) {
  const Case c = {.lengths = {100}, .heads = 1, .kv_heads = 1, .head_dim = 32};
  for (const DType dtype : ComputeDTypes()) {
    std::vector<float> values = RandomFloats(100 * 96, 6);
    values[40 * 96 + 32] = std::numeric_limits<float>::quiet_NaN();  // of key 40
    Inputs inputs(c, dtype, 6);
    inputs.joined = TestRows(values, 100, 96, dtype);
    for (const bool on_tiles : OnTiles(dtype)) {
      const TestRows out = RunAttention(c, inputs, 2, on_tiles);
      for (int64_t t = 0; t < 100; ++t) EXPECT_EQ(std::isnan(out.At(t, 5)), t >= 40) << t;
    }
  }
}

// Probabilities of a long row of equal scores are all the same: the result is the running mean.
TEST(AttentionTest, EqualScoresGiveTheMean) {
  const Case c = {.lengths = {1000}, .heads = 1, .kv_heads = 1, .head_dim = 16};
  Inputs inputs(c, DType::kF32, 4);
  std::vector<float> values(1000 * 48, 0.0F);
  for (size_t t = 0; t < 1000; ++t) values[t * 48 + 32] = static_cast<float>(t);
  inputs.joined = TestRows(values, 1000, 48, DType::kF32);
  const TestRows out = RunAttention(c, inputs, 2, false);
  for (int64_t t = 0; t < 1000; ++t) {
    EXPECT_NEAR(out.At(t, 0), static_cast<double>(t) / 2, 1e-3);
    EXPECT_EQ(out.At(t, 1), 0);
  }
}

}  // namespace
}  // namespace thresher
