#include "engine/cpu/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "engine/cpu/amx_product.h"
#include "engine/cpu/numbers_for_test.h"
#include "engine/cpu/parallel.h"
#include "shard/convert.h"

namespace thresher {
namespace {

// A tensor at an odd address, as in a mapped file.
struct Tensor {
  Tensor(std::vector<int64_t> extents, DType dtype, uint64_t seed) : shape(std::move(extents)) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    values = RandomFloats(count, seed);
    bytes.resize(static_cast<size_t>(1 + count * DTypeBytes(dtype)));
    EncodeRows(values.data(), 1, count, count, dtype, bytes.data() + 1, nullptr);
    DecodeRows(bytes.data() + 1, nullptr, 1, count, dtype, values.data());
    view = {.dtype = dtype, .shape = shape, .data = bytes.data() + 1, .file = "test"};
  }
  Tensor(const Tensor&) = delete;

  std::vector<int64_t> shape;
  std::vector<float> values;
  std::vector<std::byte> bytes;
  WeightView view;
};

// Two linears joined, of which the second has a bias.
struct Joined {
  Joined(int64_t inner_width, int64_t first_columns, DType weights)
      : inner(inner_width),
        columns(first_columns + 3),
        first({first_columns, inner}, weights, 1),
        second({3, inner}, weights, 2),
        bias({3}, weights, 3) {}

  std::vector<double> Run(const TestRows& in, int64_t rows, DType out_dtype,
                          bool on_tiles = false) const {
    const SingleThreadScope single_thread;
    const std::vector<LinearPart> parts = {{first.view, {}, 0, inner},
                                           {second.view, bias.view, 0, inner}};
    MatmulCache cache(dnnl::engine(dnnl::engine::kind::cpu, 0));
    PackedLinear linear(parts, {.in = in.view().dtype, .out = out_dtype, .on_tiles = on_tiles},
                        cache);
    AlignedBuffer packed;
    packed.Reserve(linear.packed_bytes());
    linear.Pack(parts, packed.data());
    const Matmul& matmul = cache.Get(linear.ShapeFor(rows));
    TestRows out(rows, columns, columns, out_dtype);
    MatmulCaller caller(cache.engine());
    linear.Execute(matmul, in.view().data, out.view().data, caller);
    return out.Values();
  }

  std::vector<double> PlainLoops(const TestRows& in, int64_t rows) const {
    const bool is_bf16 = in.view().dtype == DType::kBf16;
    std::vector<double> out;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        const bool is_second = c >= columns - 3;
        const Tensor& tensor = is_second ? second : first;
        const int64_t row = is_second ? c - (columns - 3) : c;
        double sum = is_second ? bias.values[static_cast<size_t>(row)] : 0.0;
        for (int64_t i = 0; i < inner; ++i) {
          const float weight = tensor.values[static_cast<size_t>(row * inner + i)];
          sum += in.At(r, i) * (is_bf16 ? FromBf16(ToBf16(weight)) : weight);
        }
        out.push_back(sum);
      }
    }
    return out;
  }

  int64_t inner;
  int64_t columns;
  Tensor first;
  Tensor second;
  Tensor bias;
};

TEST(PackedLinearTest, EqualsPlainLoopsForEveryDType) {
  for (const DType weights : {DType::kF32, DType::kF16, DType::kBf16}) {
    for (const auto& [inner, columns] :
         {std::pair<int64_t, int64_t>{1, 1}, {24, 24}, {72, 100}, {576, 61}}) {
      SCOPED_TRACE(std::to_string(inner) + " x " + std::to_string(columns));
      const Joined joined(inner, columns, weights);
      const std::vector<float> values = RandomFloats(32 * inner, 4);
      const TestRows wide(values, 32, inner, DType::kF32);
      EXPECT_LT(RelativeError(joined.Run(wide, 32, DType::kF32), joined.PlainLoops(wide, 32)),
                1e-6);
      if (!OneDnnHasAvx512()) continue;
      const TestRows narrow(values, 32, inner, DType::kBf16);
      const std::vector<double> expected = joined.PlainLoops(narrow, 32);
      EXPECT_LT(RelativeError(joined.Run(narrow, 32, DType::kF32), expected), 1e-6);
      EXPECT_LT(RelativeError(joined.Run(narrow, 32, DType::kBf16), expected),
                RoundingBound(DType::kBf16));
      if (!AmxIsUsable()) continue;
      EXPECT_LT(RelativeError(joined.Run(narrow, 32, DType::kF32, true), expected), 1e-6);
    }
  }
}

// What the engine's promise that a row does not depend on its batch rests on.
TEST(PackedLinearTest, ARowDoesNotDependOnTheNumberOfRows) {
  if (!OneDnnHasAvx512()) GTEST_SKIP() << "only the AVX-512 kernels promise it";
  for (const DType compute : ComputeDTypes()) {
    for (const auto& [inner, columns] :
         {std::pair<int64_t, int64_t>{24, 24}, {72, 100}, {896, 600}, {1536, 61}}) {
      const Joined joined(inner, columns, DType::kBf16);
      const TestRows in(RandomFloats(256 * inner, 4), 256, inner, compute);
      const std::vector<double> most = joined.Run(in, 256, DType::kF32);
      for (const int64_t rows : {32, 64, 96, 128, 224}) {
        const std::vector<double> fewer = joined.Run(in, rows, DType::kF32);
        EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), most.begin()))
            << rows << " rows, " << inner << " x " << columns;
      }
    }
  }
}

TEST(ReadWeightTest, ConvertsToF32) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBf16}) {
    const Tensor tensor({5000}, dtype, 5);
    EXPECT_EQ(ReadWeight(tensor.view), tensor.values);
  }
}

}  // namespace
}  // namespace thresher
