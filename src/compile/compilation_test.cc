#include "compile/compilation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/source_folder_for_test.h"
#include "benchmark/random_model.h"
#include "compile/program_work.h"
#include "compile/target.h"
#include "plugins/plugin_library.h"

namespace thresher {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;

TEST(CompileTargetTest, ChipAndTopology) {
  const Result<CompileTarget> target = ParseCompileTarget("tpu:v5p:2x2x1");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->plugin, "tpu");
  EXPECT_EQ(target->topology, "v5p:2x2x1");
  EXPECT_EQ(target->chip.name, "v5p");
  for (const char* text :
       {"", "tpu", "tpu:v5e", "tpu:v5e:", "tpu:h100:1", "cuda:h100:1", "v5e:2x2"}) {
    EXPECT_THAT(ParseCompileTarget(text).status().message(), HasSubstr("tpu:v5e:2x2")) << text;
  }
}

// What stands outside of the loop counts once, the body as often as it runs.
TEST(WorkOfBatchTest, TheLoopsBodyCountsAsOftenAsItRuns) {
  const ModelOutline model = *RandomModel::OutlineOf("tiny");
  const std::vector<HookPoint> hooks = {{0, HookKind::kResidPost}, {1, HookKind::kResidPost}};
  const GraphProgramOptions options = {.tokens = 128};
  const Graph pruned = *model.graph.PrunedTo(hooks);
  const GraphProgram program = *WriteGraphProgram(model.graph, hooks, options);
  ASSERT_EQ(program.loop_iterations, 2);
  // The embedded rows in bf16 and f32, and the two stored results.
  const double outside = 128 * 96 * (2 + 4) + 2 * 128 * 96 * 2;
  const Result<ChipWork> work = WorkOfBatch(pruned, program, options, 128,
                                            {{"flops", 1e6}, {"bytes accessed", outside + 5e6}});
  ASSERT_TRUE(work.ok());
  EXPECT_DOUBLE_EQ(work->flops, 2e6);
  EXPECT_DOUBLE_EQ(work->memory_bytes, outside + 10e6);
  EXPECT_EQ(work->link_bytes, 0);
  EXPECT_EQ(WorkOfBatch(pruned, program, options, 128, {{"flops", 1e6}}).status().code(),
            Code::kInternal);
  EXPECT_EQ(
      WorkOfBatch(pruned, program, options, 128, {{"flops", 1e6}, {"bytes accessed", outside}})
          .status()
          .code(),
      Code::kInternal);
}

// Of the loop over blocks the compiler counts one turn; the others are those that it runs.
TEST(WorkOfBatchTest, BlocksOfOnlineAttentionAreAdded) {
  const ModelOutline model = *RandomModel::OutlineOf("tiny");
  const std::vector<HookPoint> hooks = {{0, HookKind::kResidPost}, {1, HookKind::kResidPost}};
  const GraphProgramOptions options = {.tokens = 1024, .attention_block = 256};
  const Graph pruned = *model.graph.PrunedTo(hooks);
  const GraphProgram program = *WriteGraphProgram(model.graph, hooks, options);
  const std::map<std::string, double> costs = {{"flops", 1e6}, {"bytes accessed", 1e9}};
  const auto flops = [&](int64_t sequence_tokens) {
    return WorkOfBatch(pruned, program, options, sequence_tokens, costs)->flops;
  };
  const double pair = 2 * 4.0 * 256 * 256 * 96;  // of both layers
  EXPECT_DOUBLE_EQ(flops(1024), 2e6 + 9 * pair);
  EXPECT_DOUBLE_EQ(flops(512), 2e6 + 5 * pair);
  EXPECT_DOUBLE_EQ(flops(300), 2e6 + 6 * pair);  // they begin within blocks
  EXPECT_DOUBLE_EQ(flops(100), 2e6 + 6 * pair);
}

// libtpu, from .cache/plugins of this tree unless THRESHER_PLUGINS names another folder.
Result<std::string> LibtpuForTest() {
  setenv("THRESHER_PLUGINS", (SourceFolderForTest() / ".cache/plugins").c_str(), 0);
  PrepareToCompileWithoutDevices();
  return FindPlugin("tpu");
}

// The figures of the program with a loop are those of the program without one.
TEST(CompilationTest, ALoopAndNoLoopAreTheSameWork) {
  const Result<std::string> libtpu = LibtpuForTest();
  if (!libtpu.ok()) GTEST_SKIP() << libtpu.status().message();
  const ModelOutline model = *RandomModel::OutlineOf("tiny");
  CompilationInputs inputs{.graph = model.graph,
                           .hooks = {{0, HookKind::kResidPost}, {1, HookKind::kResidPost}},
                           .program = {.tokens = 256, .attention_block = 128},
                           .sequence_tokens = 256};
  const CompileTarget target = *ParseCompileTarget("tpu:v5e:2x2");
  const Result<Compilation> loop = CompileFor(target, *libtpu, inputs);
  ASSERT_TRUE(loop.ok()) << loop.status().message();
  inputs.program.loop_layers = false;
  const Result<Compilation> unrolled = CompileFor(target, *libtpu, inputs);
  ASSERT_TRUE(unrolled.ok()) << unrolled.status().message();
  EXPECT_EQ(loop->layer_loop_iterations, 2);
  EXPECT_EQ(unrolled->layer_loop_iterations, 1);
  EXPECT_EQ(loop->chip_count, 4);
  EXPECT_THAT(loop->work.flops / unrolled->work.flops, DoubleNear(1, 0.02));
  // Fusions differ, and with them how often a value crosses.
  EXPECT_THAT(loop->work.memory_bytes / unrolled->work.memory_bytes, DoubleNear(1, 0.3));
  EXPECT_GT(loop->flops_ratio(), 1);
  EXPECT_GT(loop->memory.arguments_bytes, 0);
}

// What is added for the loop over blocks is what the compiler counts where every block is written
// out.
TEST(CompilationTest, OnlineAttentionIsTheWorkOfWholeAttention) {
  const Result<std::string> libtpu = LibtpuForTest();
  if (!libtpu.ok()) GTEST_SKIP() << libtpu.status().message();
  const ModelOutline model = *RandomModel::OutlineOf("tiny");
  CompilationInputs inputs{.graph = model.graph,
                           .hooks = {{0, HookKind::kResidPost}, {1, HookKind::kResidPost}},
                           .program = {.tokens = 1024, .attention_block = 256},
                           .sequence_tokens = 1024};
  const CompileTarget target = *ParseCompileTarget("tpu:v5e:2x2");
  const Result<Compilation> online = CompileFor(target, *libtpu, inputs);
  ASSERT_TRUE(online.ok()) << online.status().message();
  inputs.program.whole_attention_up_to = 1024;
  const Result<Compilation> whole = CompileFor(target, *libtpu, inputs);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  EXPECT_THAT(online->work.flops / whole->work.flops, DoubleNear(1, 0.05));
  EXPECT_THAT((online->work.memory_bytes + online->on_chip_bytes) / whole->work.memory_bytes,
              DoubleNear(1, 0.3));
  EXPECT_EQ(whole->on_chip_bytes, 0);
  // Two sequences have fewer pairs of blocks.
  inputs.program.whole_attention_up_to = 512;
  inputs.sequence_tokens = 512;
  const Result<Compilation> two = CompileFor(target, *libtpu, inputs);
  ASSERT_TRUE(two.ok()) << two.status().message();
  EXPECT_LT(two->work.flops, online->work.flops);
}

}  // namespace
}  // namespace thresher
