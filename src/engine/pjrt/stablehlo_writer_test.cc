#include "engine/pjrt/stablehlo_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/pjrt/host_array.h"
#include "engine/pjrt/pjrt_client.h"
#include "engine/pjrt/plugin_for_test.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::Pointwise;
using Floats = std::vector<float>;
using Shape = std::vector<int64_t>;

TensorType F32(Shape shape) { return {DType::kF32, std::move(shape)}; }

// Each operation, run by XLA's CPU plug-in and compared with what plain C++ says.
class StablehloWriterRunTest : public testing::Test {
 protected:
  void SetUp() override {
    static Result<std::unique_ptr<PjrtClient>> client = CpuClient();
    if (!client.ok()) GTEST_SKIP() << client.status().message();
    client_ = client->get();
  }

  struct Input {
    Shape shape;
    Floats values;
  };

  // The result, as f32, of what `write` makes of the inputs.
  Floats Run(const std::vector<Input>& inputs,
             const std::function<HloValue(StablehloWriter&, const std::vector<HloValue>&)>& write) {
    StablehloWriter writer;
    std::vector<HloValue> arguments;
    for (const Input& input : inputs) arguments.push_back(writer.Argument(F32(input.shape)));
    const HloValue result = writer.Convert(write(writer, arguments), DType::kF32);
    const Result<std::string> module = writer.Finish({result});
    EXPECT_TRUE(module.ok()) << module.status().message();
    if (!module.ok()) return {};
    const Result<PjrtExecutable> executable = client_->Compile(*module, {});
    EXPECT_TRUE(executable.ok()) << executable.status().message() << "\n" << *module;
    if (!executable.ok()) return {};
    std::vector<PjrtBuffer> buffers;
    std::vector<std::vector<PJRT_Buffer*>> lists(1);
    for (const Input& input : inputs) {
      const ArrayView view = {F32(input.shape),
                              reinterpret_cast<const std::byte*>(input.values.data())};
      buffers.push_back(client_->UploadNow(view, client_->devices().front()).value());
      lists[0].push_back(buffers.back().get());
    }
    const auto execution = executable->Execute(lists, client_->devices().front().device);
    EXPECT_TRUE(execution.ok()) << execution.status().message();
    Floats values(static_cast<size_t>(result.type.element_count()));
    Result<PjrtEvent> copied = StartDownload(execution->outputs[0][0], result.type.shape.size(),
                                             std::as_writable_bytes(std::span(values)));
    EXPECT_TRUE(copied.ok()) << copied.status().message();
    EXPECT_TRUE(AwaitPjrtEvent(std::move(*copied), "copy", 60'000).ok());
    return values;
  }

  PjrtClient* client_ = nullptr;
};

TEST_F(StablehloWriterRunTest, Elementwise) {
  const Input a = {{2, 3}, {1, -2, 3.5, 0, 0.25, -7}};
  const Input b = {{2, 3}, {2, 4, -1, 5, 0.5, -8}};
  const auto expect = [&](HloValue (StablehloWriter::*operation)(const HloValue&, const HloValue&),
                          const std::function<float(float, float)>& plain) {
    Floats expected;
    for (size_t i = 0; i < a.values.size(); ++i) {
      expected.push_back(plain(a.values[i], b.values[i]));
    }
    EXPECT_EQ(Run({a, b}, [&](auto& w, const auto& x) { return (w.*operation)(x[0], x[1]); }),
              expected);
  };
  expect(&StablehloWriter::Add, [](float x, float y) { return x + y; });
  expect(&StablehloWriter::Subtract, [](float x, float y) { return x - y; });
  expect(&StablehloWriter::Multiply, [](float x, float y) { return x * y; });
  expect(&StablehloWriter::Divide, [](float x, float y) { return x / y; });
  expect(&StablehloWriter::Maximum, [](float x, float y) { return std::max(x, y); });
}

TEST_F(StablehloWriterRunTest, Functions) {
  const Input a = {{4}, {0.5, 1, 2.25, 9}};
  const auto expect = [&](HloValue (StablehloWriter::*operation)(const HloValue&),
                          const std::function<double(double)>& plain) {
    Floats expected;
    for (const float x : a.values) expected.push_back(static_cast<float>(plain(double{x})));
    EXPECT_THAT(Run({a}, [&](auto& w, const auto& x) { return (w.*operation)(x[0]); }),
                Pointwise(testing::FloatEq(), expected));
  };
  expect(&StablehloWriter::Exponential, [](double x) { return std::exp(x); });
  expect(&StablehloWriter::Rsqrt, [](double x) { return 1 / std::sqrt(x); });
  expect(&StablehloWriter::Logistic, [](double x) { return 1 / (1 + std::exp(-x)); });
}

TEST_F(StablehloWriterRunTest, Constants) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const DType dtype : {DType::kF32, DType::kBf16, DType::kF16}) {
    for (const float value : {0.0F, 3.0F, -0.5F, 1024.0F, kInfinity, -kInfinity}) {
      EXPECT_EQ(Run({}, [&](auto& w, const auto&) { return w.Constant(value, dtype); }),
                Floats{value});
    }
    EXPECT_TRUE(std::isnan(Run({}, [&](auto& w, const auto&) {
      return w.Constant(std::numeric_limits<float>::quiet_NaN(), dtype);
    })[0]));
  }
  // Every digit of a float counts.
  EXPECT_EQ(Run({}, [](auto& w, const auto&) { return w.Constant(0.1F); }), Floats{0.1F});
  EXPECT_EQ(Run({}, [](auto& w, const auto&) { return w.Constant(1e-30F); }), Floats{1e-30F});
}

TEST_F(StablehloWriterRunTest, Convert) {
  // bf16 rounds to nearest, ties to even.
  EXPECT_EQ(Run({{{3}, {1.00390625F, 1.01171875F, -3.14159F}}},
                [](auto& w, const auto& x) { return w.Convert(x[0], DType::kBf16); }),
            (Floats{1.0F, 1.015625F, -3.140625F}));
}

TEST_F(StablehloWriterRunTest, IntegersMasksAndSelect) {
  // Where 0, 1, 2, 3 equals 0, 5, 2, 5 and 0, 1, 2, 3 >= 2, that is at 2.
  EXPECT_EQ(Run({{{4}, {10, 20, 30, 40}}},
                [](StablehloWriter& w, const auto& x) {
                  const HloValue count = w.Iota(4);
                  const HloValue two = w.Broadcast(w.Integer(2), {4}, {});
                  const HloMask mask =
                      w.And(w.Compare(count, w.Integers({0, 5, 2, 5}), Comparison::kEqual),
                            w.Compare(count, two, Comparison::kGreaterOrEqual));
                  return w.Select(mask, x[0], w.Broadcast(w.Constant(-1), {4}, {}));
                }),
            (Floats{-1, -1, 30, -1}));
  EXPECT_EQ(Run({{{2, 2}, {1, 2, 3, 4}}},
                [](StablehloWriter& w, const auto& x) {
                  const HloValue count = w.Iota(2);
                  const HloMask row = w.Compare(count, w.Integers({1, 1}), Comparison::kLess);
                  return w.Select(w.Broadcast(row, {2, 2}, {0}), x[0],
                                  w.Broadcast(w.Constant(0), {2, 2}, {}));
                }),
            (Floats{1, 2, 0, 0}));
}

TEST_F(StablehloWriterRunTest, Shapes) {
  const Input a = {{2, 3}, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(Run({a},
                [](auto& w, const auto& x) {
                  return w.Transpose(x[0], {1, 0});
                }),
            (Floats{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(Run({a}, [](auto& w, const auto& x) { return w.Slice(x[0], 1, 1, 3); }),
            (Floats{2, 3, 5, 6}));
  EXPECT_EQ(Run({a},
                [](auto& w, const auto& x) {
                  return w.Transpose(w.Reshape(x[0], {3, 2}), {1, 0});
                }),
            (Floats{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(Run({a},
                [](auto& w, const auto& x) {
                  return w.Concatenate({x[0], w.Slice(x[0], 1, 0, 1)}, 1);
                }),
            (Floats{1, 2, 3, 1, 4, 5, 6, 4}));
  EXPECT_EQ(Run({{{2}, {7, 8}}},
                [](auto& w, const auto& x) {
                  return w.Broadcast(x[0], {3, 2}, {1});
                }),
            (Floats{7, 8, 7, 8, 7, 8}));
}

TEST_F(StablehloWriterRunTest, Reductions) {
  const Input a = {{2, 3}, {1, -2, 3, -4, -5, -6}};
  EXPECT_EQ(Run({a}, [](auto& w, const auto& x) { return w.ReduceSum(x[0]); }), (Floats{2, -15}));
  EXPECT_EQ(Run({a}, [](auto& w, const auto& x) { return w.ReduceMax(x[0]); }), (Floats{3, -4}));
}

TEST_F(StablehloWriterRunTest, Dot) {
  // x [2, 3] * w [2, 3]^T.
  const Input x = {{2, 3}, {1, 2, 3, 4, 5, 6}};
  const Input weight = {{2, 3}, {1, 0, -1, 2, 1, 0}};
  EXPECT_EQ(Run({x, weight},
                [](auto& w, const auto& v) {
                  return w.Dot(v[0], v[1], {.left_summed = {1}, .right_summed = {1}});
                }),
            (Floats{-2, 4, -2, 13}));
  // Batch axes that stand at different places: result [b, i, j] = sum_k l[i, b, k] * r[k, b, j].
  const Input left = {{1, 2, 2}, {1, 2, 3, 4}};
  const Input right = {{2, 2, 1}, {5, 6, 7, 8}};
  EXPECT_EQ(
      Run({left, right},
          [](auto& w, const auto& v) {
            return w.Dot(
                v[0], v[1],
                {.left_batch = {1}, .right_batch = {1}, .left_summed = {2}, .right_summed = {0}});
          }),
      (Floats{1 * 5 + 2 * 7, 3 * 6 + 4 * 8}));
  // bf16 operands are summed in f32: 256 + 1 is no bf16 number.
  EXPECT_EQ(Run({{{1, 2}, {256, 1}}},
                [](auto& w, const auto& v) {
                  const HloValue b = w.Convert(v[0], DType::kBf16);
                  const HloValue ones = w.Broadcast(w.Constant(1, DType::kBf16), {1, 2}, {});
                  return w.Dot(b, ones, {.left_summed = {1}, .right_summed = {1}});
                }),
            Floats{257});
}

TEST_F(StablehloWriterRunTest, ElementsAndLoop) {
  const Input stacked = {{3, 2}, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(
      Run({stacked}, [](auto& w, const auto& x) { return w.DynamicElement(x[0], w.Integer(1)); }),
      (Floats{3, 4}));
  EXPECT_EQ(Run({stacked, {{2}, {8, 9}}},
                [](auto& w, const auto& x) { return w.ReplaceElement(x[0], x[1], w.Integer(2)); }),
            (Floats{1, 2, 3, 4, 8, 9}));
  // Running sums of the elements, kept in a second stack.
  EXPECT_EQ(Run({stacked},
                [](StablehloWriter& w, const std::vector<HloValue>& x) {
                  const HloValue zero = w.Broadcast(w.Constant(0), {2}, {});
                  const HloValue sums = w.Broadcast(w.Constant(0), {3, 2}, {});
                  return w.Loop(
                      3, {zero, sums, x[0]},
                      [&](const HloValue& index, const std::vector<HloValue>& v) {
                        const HloValue sum = w.Add(v[0], w.DynamicElement(v[2], index));
                        return std::vector<HloValue>{sum, w.ReplaceElement(v[1], sum, index), v[2]};
                      })[1];
                }),
            (Floats{1, 2, 4, 6, 9, 12}));
}

TEST_F(StablehloWriterRunTest, PickedRows) {
  const Input rows = {{4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}};
  EXPECT_EQ(Run({rows},
                [](auto& w, const auto& x) {
                  return w.PickRows(x[0], w.Integers({0, 2, 3, 3}));
                }),
            (Floats{1, 2, 5, 6, 7, 8, 7, 8}));
}

// Mistakes are reported in our words, without a plug-in.
std::string MessageOf(const std::function<HloValue(StablehloWriter&)>& write) {
  StablehloWriter writer;
  const HloValue result = write(writer);
  const Result<std::string> module = writer.Finish({result});
  EXPECT_FALSE(module.ok());
  return module.ok() ? "" : module.status().message();
}

TEST(StablehloWriterTest, OperandsThatDoNotFitAreNamed) {
  EXPECT_THAT(MessageOf([](StablehloWriter& w) {
                const HloValue a = w.Argument(F32({2, 3}));
                return w.Add(a, w.Constant(1));
              }),
              HasSubstr("add of tensor<2x3xf32>, tensor<f32>: the operands differ in type"));
  EXPECT_THAT(MessageOf([](StablehloWriter& w) {
                return w.Reshape(w.Argument(F32({2, 3})), {4, 2});
              }),
              HasSubstr("reshape of tensor<2x3xf32>: not as many elements as tensor<4x2xf32>"));
  EXPECT_THAT(MessageOf([](StablehloWriter& w) { return w.Slice(w.Argument(F32({4})), 0, 2, 5); }),
              HasSubstr("slice of tensor<4xf32>: 2 to 5 of axis 0"));
  EXPECT_THAT(MessageOf([](StablehloWriter& w) {
                return w.Broadcast(w.Argument(F32({4})), {3, 5}, {1});
              }),
              HasSubstr("tensor<4xf32> does not become tensor<3x5xf32> along axes [1]"));
  EXPECT_THAT(MessageOf([](StablehloWriter& w) {
                const HloValue a = w.Argument(F32({2, 3}));
                const HloValue b = w.Argument(F32({2, 4}));
                return w.Dot(a, b, {.left_summed = {1}, .right_summed = {1}});
              }),
              HasSubstr("dot of tensor<2x3xf32>, tensor<2x4xf32>: the operands do not fit"));
  EXPECT_THAT(MessageOf([](StablehloWriter& w) {
                return w.Transpose(w.Argument(F32({2, 3})), {0, 0});
              }),
              HasSubstr("transpose of tensor<2x3xf32>: [0, 0] permutes other axes"));
  EXPECT_THAT(MessageOf([](StablehloWriter& w) {
                const HloValue a = w.Argument(F32({2, 3}));
                return w.Concatenate({a, w.Argument(F32({3, 3}))}, 1);
              }),
              HasSubstr("they differ in more than the joined axis"));
  EXPECT_THAT(MessageOf([](StablehloWriter& w) {
                return w.Loop(2, {w.Argument(F32({2}))},
                              [&](const HloValue& index, const std::vector<HloValue>&) {
                                return std::vector<HloValue>{index};
                              })[0];
              }),
              HasSubstr("the body returns other types than it was given"));
  EXPECT_THAT(
      MessageOf([](StablehloWriter& w) {
        const HloValue rows = w.Argument(F32({3}));
        return w.PickRows(w.Argument(F32({4, 2})), rows);
      }),
      HasSubstr("picked rows of tensor<4x2xf32>, tensor<3xf32>: needs a matrix and a list"));
  EXPECT_THAT(MessageOf([](StablehloWriter& w) { return w.Exponential(w.Integer(3)); }),
              HasSubstr("not of floating-point values"));
}

TEST(StablehloWriterTest, TheFirstMistakeIsReported) {
  EXPECT_THAT(MessageOf([](StablehloWriter& w) {
                const HloValue a = w.Argument(F32({2}));
                return w.Reshape(w.Add(a, w.Constant(1)), {7});
              }),
              HasSubstr("add of"));
}

TEST(StablehloWriterTest, ShardingMustDivide) {
  StablehloWriter writer(4);
  const HloValue value = writer.Argument(F32({6, 8}), {true, false});
  EXPECT_THAT(writer.Finish({value}).status().message(),
              HasSubstr("axis 0 cannot be split over 4 devices"));
}

}  // namespace
}  // namespace thresher
