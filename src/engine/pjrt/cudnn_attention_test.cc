#include "engine/pjrt/cudnn_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/common/transformer_for_test.h"
#include "engine/pjrt/graph_program.h"
#include "engine/pjrt/pjrt_client.h"
#include "engine/pjrt/plugin_for_test.h"
#include "shard/convert.h"

namespace thresher {
namespace {

using testing::HasSubstr;

Attention AttentionOf(int64_t heads, int64_t kv_heads, int64_t head_dim) {
  return {.q = 0,
          .k = 1,
          .v = 2,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .scale = 0.125F,
          .window = std::nullopt};
}

TEST(CudnnCanAttendTest, WhatTheKernelTakes) {
  EXPECT_TRUE(CudnnCanAttend(AttentionOf(28, 4, 128), 2048));
  EXPECT_FALSE(CudnnCanAttend(AttentionOf(8, 4, 256), 2048));
  EXPECT_FALSE(CudnnCanAttend(AttentionOf(8, 4, 20), 2048));
  Attention window = AttentionOf(32, 8, 128);
  window.window = 4096;
  EXPECT_TRUE(CudnnCanAttend(window, 4096));
  EXPECT_FALSE(CudnnCanAttend(window, 4097));
}

// The call as jax 0.10.2 writes it for q [1, 256, 8, 64], two key/value heads and a scale of 1/8.
TEST(CudnnCallTest, AsJaxWritesIt) {
  StablehloWriter writer;
  const TensorType q = {DType::kBf16, {1, 256, 8, 64}};
  const TensorType k = {DType::kBf16, {1, 256, 2, 64}};
  const Attention attention = AttentionOf(8, 2, 64);
  const FusedAttentionCall call = {.attention = attention,
                                   .q = writer.Argument(q),
                                   .k = writer.Argument(k),
                                   .v = writer.Argument(k),
                                   .bias = writer.Argument({DType::kBf16, {1, 1, 256, 256}})};
  const Result<std::string> module = writer.Finish({WriteCudnnCall(writer, call)});
  ASSERT_TRUE(module.ok()) << module.status().message();
  EXPECT_THAT(*module, HasSubstr("%4:2 = \"stablehlo.custom_call\"(%0, %1, %2, %3) <{api_version = "
                                 "2 : i32, backend_config = \"{"));
  EXPECT_THAT(
      *module,
      HasSubstr(
          "call_target_name = \"__cudnn$fmhaScaleBiasSoftmax\", called_computations = [], "
          "has_side_effect = false, operand_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>, "
          "dense<[3, 2, 1, 0]> : tensor<4xindex>, dense<[3, 2, 1, 0]> : tensor<4xindex>, "
          "dense<[3, 2, 1, 0]> : tensor<4xindex>], result_layouts = [dense<[3, 1, 2, 0]> : "
          "tensor<4xindex>, dense<[0]> : tensor<1xindex>]}> : (tensor<1x256x8x64xbf16>, "
          "tensor<1x256x2x64xbf16>, tensor<1x256x2x64xbf16>, tensor<1x1x256x256xbf16>) -> "
          "(tensor<1x8x256x64xbf16>, tensor<0xui8>)"));
  const size_t begin = module->find("backend_config = \"") + 18;
  std::string config = module->substr(begin, module->find('"', begin) - begin);
  for (size_t at = config.find("\\22"); at != config.npos; at = config.find("\\22", at)) {
    config.replace(at, 3, "\"");
  }
  const auto expected = nlohmann::json::parse(R"({
    "operation_queue_id": "0",
    "cudnn_fmha_backend_config": {
      "algorithm": {"algo_id": "0", "math_type": "TENSOR_OP_MATH",
                    "tuning_knobs": {"17": "1", "24": "0"}, "is_cudnn_frontend": true,
                    "workspace_size": "0"},
      "fmha_scale": 0.125,
      "intermediate_tensor_shape": {
        "element_type": "BF16", "dimensions": ["1", "8", "256", "256"], "tuple_shapes": [],
        "layout": {"dim_level_types": [], "dim_unique": [], "dim_ordered": [],
                   "minor_to_major": ["3", "2", "1", "0"], "tiles": [],
                   "element_size_in_bits": "0", "memory_space": "0",
                   "index_primitive_type": "PRIMITIVE_TYPE_INVALID",
                   "pointer_primitive_type": "PRIMITIVE_TYPE_INVALID",
                   "dynamic_shape_metadata_prefix_bytes": "0"},
        "is_dynamic_dimension": [false, false, false, false]},
      "is_flash_attention": true, "mask_type": "CAUSAL",
      "bmm1_dot_dimension_numbers": {
        "lhs_contracting_dimensions": ["3"], "rhs_contracting_dimensions": ["3"],
        "lhs_batch_dimensions": ["0", "2"], "rhs_batch_dimensions": ["0", "2"]},
      "bmm2_dot_dimension_numbers": {
        "lhs_contracting_dimensions": ["3"], "rhs_contracting_dimensions": ["1"],
        "lhs_batch_dimensions": ["0", "1"], "rhs_batch_dimensions": ["0", "2"]},
      "dropout_rate": 0.0, "seed": 42, "sliding_window_length": 0, "max_seg_per_batch": 1,
      "is_paged_attention": false}})");
  EXPECT_EQ(nlohmann::json::parse(config), expected);
}

// What the kernel computes, in operations that every device has: with it, what stands around the
// call can be run here.
HloValue WriteStandIn(StablehloWriter& w, const FusedAttentionCall& call) {
  const int64_t tokens = call.q.type.shape[1];
  const int64_t heads = call.attention.heads;
  const int64_t kv_heads = call.attention.kv_heads;
  const int64_t group = heads / kv_heads;
  const int64_t head_dim = call.attention.head_dim;
  const HloValue q = w.Reshape(call.q, {tokens, kv_heads, group, head_dim});
  const HloValue k = w.Reshape(call.k, {tokens, kv_heads, head_dim});
  const HloValue v = w.Reshape(call.v, {tokens, kv_heads, head_dim});
  const HloValue products =
      w.Dot(q, k, {.left_batch = {1}, .right_batch = {1}, .left_summed = {3}, .right_summed = {2}});
  const std::vector<int64_t>& shape = products.type.shape;  // [kv_heads, tokens, group, tokens]
  const auto filled = [&](float value) { return w.Broadcast(w.Constant(value), shape, {}); };
  const HloValue bias = w.Convert(w.Reshape(call.bias, {tokens, tokens}), DType::kF32);
  const HloValue scores =
      w.Add(w.Multiply(products, filled(call.attention.scale)), w.Broadcast(bias, shape, {1, 3}));
  const HloValue rows = w.Iota(tokens);
  const HloMask causal =
      w.Compare(w.Broadcast(rows, {tokens, tokens}, {0}), w.Broadcast(rows, {tokens, tokens}, {1}),
                Comparison::kGreaterOrEqual);
  const HloValue seen = w.Select(w.Broadcast(causal, shape, {1, 3}), scores,
                                 filled(-std::numeric_limits<float>::infinity()));
  const HloValue weights =
      w.Exponential(w.Subtract(seen, w.Broadcast(w.ReduceMax(seen), shape, {0, 1, 2})));
  const HloValue sums = w.Broadcast(w.ReduceSum(weights), shape, {0, 1, 2});
  const HloValue z =
      w.Dot(w.Convert(w.Divide(weights, sums), DType::kBf16), v,
            {.left_batch = {0}, .right_batch = {1}, .left_summed = {3}, .right_summed = {0}});
  // [kv_heads, tokens, group, head_dim]
  return w.Convert(w.Reshape(w.Transpose(z, {0, 2, 1, 3}), {1, heads, tokens, head_dim}),
                   DType::kBf16);
}

class CudnnAttentionRunTest : public testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<PjrtClient>> client = CpuClient();
    if (!client.ok()) GTEST_SKIP() << client.status().message();
    client_ = *std::move(client);
  }

  std::unique_ptr<PjrtClient> client_;
};

// Around the stand-in: the bias, the heads and the order of the result's axes.
TEST_F(CudnnAttentionRunTest, WithAStandInItIsTheAttentionInBlocks) {
  const Attention attention = AttentionOf(6, 2, 16);
  constexpr int64_t kTokens = 48;
  const std::vector<int32_t> first = {0, 1, 14,
                                      40};  // of each sequence; then padding, each its own
  StablehloWriter w;
  const auto argument = [&](int64_t heads) {
    return w.Argument({DType::kF32, {kTokens, heads * attention.head_dim}});
  };
  std::vector<HloValue> arguments = {argument(6), argument(2), argument(2)};
  std::vector<int32_t> starts;
  for (int32_t token = 0; token < kTokens; ++token) {
    int32_t start = 0;
    for (const int32_t begin : first) {
      if (begin <= token) start = begin;
    }
    starts.push_back(token < 44 ? start : token);
  }
  const AttentionInputs inputs = {.q = w.Convert(arguments[0], DType::kBf16),
                                  .k = w.Convert(arguments[1], DType::kBf16),
                                  .v = w.Convert(arguments[2], DType::kBf16),
                                  .starts = w.Integers(starts)};
  const HloValue blocks = WriteAttention(w, attention, inputs, 16);
  const HloValue fused = w.Convert(
      WriteCudnnAttention(w, attention, inputs, WriteSequenceBias(w, inputs.starts), WriteStandIn),
      DType::kF32);
  const Result<std::string> module = w.Finish({blocks, fused});
  ASSERT_TRUE(module.ok()) << module.status().message();
  const Result<PjrtExecutable> executable = client_->Compile(*module, {});
  ASSERT_TRUE(executable.ok()) << executable.status().message();

  Random random(3);
  std::vector<PjrtBuffer> buffers;
  std::vector<std::vector<PJRT_Buffer*>> lists(1);
  for (const HloValue& value : arguments) {
    std::vector<float> values(static_cast<size_t>(value.type.element_count()));
    for (float& element : values) element = static_cast<float>(4 * random.Uniform() - 2);
    const ArrayView view = {value.type, reinterpret_cast<const std::byte*>(values.data())};
    buffers.push_back(client_->UploadNow(view, client_->devices().front()).value());
    lists[0].push_back(buffers.back().get());
  }
  const auto execution = executable->Execute(lists, client_->devices().front().device);
  ASSERT_TRUE(execution.ok()) << execution.status().message();
  std::vector<std::vector<float>> results;
  for (const auto& output : execution->outputs[0]) {
    results.emplace_back(static_cast<size_t>(kTokens * 6 * 16));
    Result<PjrtEvent> copied =
        StartDownload(output, 2, std::as_writable_bytes(std::span(results.back())));
    ASSERT_TRUE(copied.ok()) << copied.status().message();
    ASSERT_TRUE(AwaitPjrtEvent(std::move(*copied), "copy", 60'000).ok());
  }
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < results[0].size(); ++i) {
    difference += std::pow(double{results[1][i]} - results[0][i], 2);
    norm += std::pow(double{results[0][i]}, 2);
  }
  EXPECT_LT(std::sqrt(difference / norm), 5e-3);  // both round to bf16, in different places
}

// A whole program with the call: it is read and its shapes agree, and the compiler of this machine
// stops at nothing but the kernel that it does not have.
TEST_F(CudnnAttentionRunTest, AProgramIsReadAsFarAsTheKernel) {
  const Graph graph = BuildTransformer({.layers = 3});
  const GraphProgramOptions options = {.tokens = 64, .cudnn_attention = true};
  const Result<GraphProgram> program = WriteGraphProgram(graph, AllHooks(graph), options);
  ASSERT_TRUE(program.ok()) << program.status().message();
  const Result<PjrtExecutable> executable = client_->Compile(program->module, {});
  ASSERT_FALSE(executable.ok());
  EXPECT_THAT(executable.status().message(), HasSubstr("__cudnn$fmhaScaleBiasSoftmax"));
}

}  // namespace
}  // namespace thresher
