#include "engine/cpu/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <variant>
#include <vector>

#include "engine/common/transformer_for_test.h"
#include "engine/cpu/amx_product.h"
#include "engine/cpu/buffer_plan.h"

namespace thresher {
namespace {

template <typename Step>
std::vector<Step> StepsOf(const Program& program) {
  std::vector<Step> steps;
  for (const Stage& stage : program.stages) {
    for (const RowStep& step : stage.row_steps) {
      if (const auto* found = std::get_if<Step>(&step)) steps.push_back(*found);
    }
  }
  return steps;
}

Program Compile(const Graph& graph, const std::vector<HookPoint>& hooks, DType compute) {
  Result<Program> program = CompileProgram(graph, hooks, {.compute = compute});
  EXPECT_TRUE(program.ok()) << program.status().message();
  return std::move(program).value();
}

TEST(ProgramTest, JoinsLinearsOfOneInput) {
  const Graph graph = BuildTransformer({.layers = 1});
  const Program program = Compile(graph, AllHooks(graph), DType::kBf16);
  ASSERT_EQ(program.linears.size(), 4U);
  EXPECT_EQ(program.linears[0].parts.size(), 3U);  // q, k, v
  EXPECT_EQ(program.linears[1].parts.size(), 1U);
  EXPECT_EQ(program.linears[2].parts.size(), 2U);  // gate, up
  EXPECT_EQ(program.linears[3].parts.size(), 1U);
  EXPECT_EQ(program.stages.size(), 2U);
}

// Every column once, in blocks that a core's cache holds, whoever captures the result.
TEST(ProgramTest, WideGatesAreComputedInBlocksOfColumns) {
  const Graph graph = BuildTransformer({.intermediate = 1500, .layers = 1});
  for (const HookKind kind : {HookKind::kMlpPost, HookKind::kResidPost}) {
    const Program program = Compile(graph, {{0, kind}}, DType::kBf16);
    int64_t column = 0;
    for (const GateStep& step : StepsOf<GateStep>(program)) {
      EXPECT_EQ(step.out.column, column);
      EXPECT_LE(step.out.width, 640);
      EXPECT_EQ(step.gate.storage, step.up.storage);
      EXPECT_EQ(step.up.column, step.gate.width);
      column += step.out.width;
    }
    EXPECT_EQ(column, 1500);
    EXPECT_EQ(StepsOf<GateStep>(program).size(), 3U);
  }
}

// Each block of the gate is read by a product of its own as soon as it is made.
TEST(ProgramTest, WhatReadsAWideGateMaySumUpItsBlocks) {
  const Graph graph = BuildTransformer({.intermediate = 1500, .layers = 1});
  const Result<Program> program = CompileProgram(
      graph, {{0, HookKind::kResidPost}}, {.compute = DType::kBf16, .sums_gate_blocks = true});
  ASSERT_TRUE(program.ok());
  const std::vector<GateStep> gates = StepsOf<GateStep>(*program);
  const std::vector<LinearStep> linears = StepsOf<LinearStep>(*program);
  ASSERT_EQ(gates.size(), 3U);
  ASSERT_EQ(linears.size(), 2 + 2 * gates.size());
  int64_t first_input = 0;
  for (size_t b = 0; b < gates.size(); ++b) {
    const LinearStep& down = linears[3 + 2 * b];
    EXPECT_EQ(down.in.storage, gates[b].out.storage);
    EXPECT_EQ(down.out.storage, linears[3].out.storage);
    const LinearPlan& plan = program->linears[down.linear];
    EXPECT_EQ(plan.accumulates, b > 0);
    EXPECT_EQ(plan.parts[0].first_input, first_input);
    first_input += plan.parts[0].inputs;
  }
  EXPECT_EQ(first_input, 1500);
}

// Where the tile unit takes the inputs, and the columns in whole tiles.
TEST(ProgramTest, AProductMayGateABlock) {
  if (!AmxIsUsable()) GTEST_SKIP() << "this processor has no AMX";
  using Hooks = std::vector<HookPoint>;
  const Hooks last = {{0, HookKind::kResidPost}};
  const auto compile = [](int64_t hidden, int64_t intermediate, const Hooks& hooks) {
    const Graph graph =
        BuildTransformer({.hidden = hidden, .intermediate = intermediate, .layers = 1});
    Result<Program> program = CompileProgram(
        graph, hooks,
        {.compute = DType::kBf16, .sums_gate_blocks = true, .gates_in_products = true});
    EXPECT_TRUE(program.ok());
    return std::move(program).value();
  };
  for (const Hooks& hooks : {last, Hooks{{0, HookKind::kMlpPost}, {0, HookKind::kResidPost}}}) {
    const Program program = compile(64, 1504, hooks);
    EXPECT_TRUE(StepsOf<GateStep>(program).empty());
    const auto gated = std::ranges::count_if(program.linears, &LinearPlan::is_gated);
    EXPECT_EQ(gated, 3);
    for (const LinearStep& step : StepsOf<LinearStep>(program)) {
      const LinearPlan& plan = program.linears[step.linear];
      if (!plan.is_gated) continue;
      EXPECT_EQ(plan.parts.size(), 2U);
      EXPECT_EQ(step.out.width, plan.parts[0].columns);
      EXPECT_EQ(step.out.dtype, DType::kBf16);
    }
  }
  EXPECT_EQ(StepsOf<GateStep>(compile(40, 1504, last)).size(), 3U);
  // The last of the blocks has 476 columns: no whole tiles.
  EXPECT_EQ(StepsOf<GateStep>(compile(64, 1500, last)).size(), 1U);
}

// Gate or up that something else reads stays whole.
TEST(ProgramTest, AGateWithAnotherReaderIsNotComputedInBlocks) {
  Graph graph;
  const ValueId embedded = graph.AddNode(Embed{graph.AddParameter("e", {10, 700})});
  const ValueId a = graph.AddNode(Linear{embedded, graph.AddParameter("a", {700, 700}), {}});
  const ValueId b = graph.AddNode(Linear{embedded, graph.AddParameter("b", {700, 700}), {}});
  const ValueId gated = graph.AddNode(GatedSilu{b, a});
  const ValueId sum = graph.AddNode(Add{gated, b});
  graph.SetHook({0, HookKind::kResidPost}, gated);
  graph.SetHook({0, HookKind::kMlpOut}, sum);
  const auto blocks = [&](HookKind kind) {
    return StepsOf<GateStep>(Compile(graph, {{0, kind}}, DType::kF32)).size();
  };
  EXPECT_EQ(blocks(HookKind::kResidPost), 2U);
  EXPECT_EQ(blocks(HookKind::kMlpOut), 1U);
}

TEST(ProgramTest, EndsAtTheDeepestHook) {
  const Graph graph = BuildTransformer({.layers = 3});
  const Program embed = Compile(graph, {{-1, HookKind::kEmbed}}, DType::kF32);
  EXPECT_TRUE(embed.linears.empty());
  EXPECT_EQ(embed.stages.size(), 1U);
  const Program query = Compile(graph, {{1, HookKind::kQ}}, DType::kF32);
  EXPECT_EQ(query.linears.size(), 5U);
  EXPECT_EQ(query.linears[4].parts.size(), 1U);
  EXPECT_FALSE(CompileProgram(graph, {{3, HookKind::kQ}}, {}).ok());
}

TEST(ProgramTest, OnlyWhatCrossesAttentionNeedsTheWholeBatch) {
  const Graph graph = BuildTransformer({.layers = 3});
  const Program program = Compile(graph, {{2, HookKind::kResidPost}}, DType::kBf16);
  int64_t whole_batch_bytes = 0;
  for (const Buffer& buffer : program.buffers) {
    if (buffer.whole_batch) whole_batch_bytes += buffer.row_bytes;
  }
  // The residual stream in f32, q + k + v and z in bf16.
  EXPECT_EQ(whole_batch_bytes, 72 * 4 + (6 + 2 + 2) * 24 * 2 + 6 * 24 * 2);
}

// In bf16 only what matrix products read is bf16, whichever hooks are asked for.
TEST(ProgramTest, OnlyWhatProductsReadIsBf16) {
  const Graph graph = BuildTransformer({.layers = 2});
  for (const HookPoint& hook : AllHooks(graph)) {
    const Program program = Compile(graph, {hook}, DType::kBf16);
    const std::vector<CaptureStep> captures = StepsOf<CaptureStep>(program);
    ASSERT_EQ(captures.size(), 1U);
    const bool is_bf16 = hook.kind == HookKind::kZ || hook.kind == HookKind::kMlpPost ||
                         hook.kind == HookKind::kFinalNorm;
    EXPECT_EQ(captures[0].in.dtype, is_bf16 ? DType::kBf16 : DType::kF32) << HookName(hook);
    for (const LinearStep& step : StepsOf<LinearStep>(program)) {
      EXPECT_EQ(step.in.dtype, DType::kBf16);
    }
  }
}

TEST(ProgramTest, ConvertsWhereAReaderNeedsAnotherDType) {
  Graph graph;
  const ValueId embedded = graph.AddNode(Embed{graph.AddParameter("e", {10, 8})});
  const ValueId a = graph.AddNode(Linear{embedded, graph.AddParameter("a", {8, 8}), {}});
  const ValueId b = graph.AddNode(Linear{embedded, graph.AddParameter("b", {8, 8}), {}});
  const ValueId gated = graph.AddNode(GatedSilu{a, b});
  graph.SetHook({0, HookKind::kResidPost}, graph.AddNode(Add{embedded, gated}));
  const Program program = Compile(graph, {{0, HookKind::kResidPost}}, DType::kBf16);
  EXPECT_EQ(StepsOf<ConvertStep>(program).size(), 2U);  // embedded down, gated up
  EXPECT_TRUE(
      StepsOf<ConvertStep>(Compile(graph, {{0, HookKind::kResidPost}}, DType::kF32)).empty());
}

// A linear reads rows without gaps, so a value that one reads is not joined with others.
TEST(ProgramTest, DoesNotJoinWhatALinearReads) {
  Graph graph;
  const ValueId embedded = graph.AddNode(Embed{graph.AddParameter("e", {10, 8})});
  const ValueId a = graph.AddNode(Linear{embedded, graph.AddParameter("a", {4, 8}), {}});
  const ValueId b = graph.AddNode(Linear{embedded, graph.AddParameter("b", {8, 8}), {}});
  const ValueId c = graph.AddNode(Linear{a, graph.AddParameter("c", {8, 4}), {}});
  graph.SetHook({0, HookKind::kResidPost}, graph.AddNode(Add{b, c}));
  const Program program = Compile(graph, {{0, HookKind::kResidPost}}, DType::kF32);
  EXPECT_EQ(program.linears.size(), 3U);
}

// Storages that share a buffer are never in use at the same time.
TEST(BufferPlanTest, NoTwoStoragesMeetInABuffer) {
  Random random(9);
  for (int round = 0; round < 200; ++round) {
    Program program;
    std::vector<Lifetime> lifetimes;
    int32_t step = 0;
    for (int s = 0; s < 30; ++s) {
      step += static_cast<int32_t>(random.Below(3));
      const int32_t last = step + static_cast<int32_t>(random.Below(12));
      lifetimes.push_back({step, last, step / 10, last / 10});
      program.storages.push_back({.row_bytes = static_cast<int64_t>(8 * (1 + random.Below(3))),
                                  .whole_batch = last / 10 != step / 10 || random.Below(2) == 0});
    }
    AssignBuffers(lifetimes, program);
    for (size_t a = 0; a < lifetimes.size(); ++a) {
      const Storage& first = program.storages[a];
      const Buffer& buffer = program.buffers[static_cast<size_t>(first.buffer)];
      EXPECT_GE(buffer.row_bytes, first.row_bytes);
      EXPECT_EQ(buffer.whole_batch, first.whole_batch);
      for (size_t b = a + 1; b < lifetimes.size(); ++b) {
        const Storage& second = program.storages[b];
        if (first.buffer != second.buffer) continue;
        EXPECT_LT(lifetimes[a].last_step, lifetimes[b].first_step);
        // In one stage, chunks of other threads may still be at the earlier step.
        if (first.whole_batch && lifetimes[a].last_stage == lifetimes[b].first_stage) {
          EXPECT_EQ(first.row_bytes, second.row_bytes);
        }
      }
    }
  }
}

}  // namespace
}  // namespace thresher
