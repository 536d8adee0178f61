#include "engine/pjrt/layer_loop.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "engine/common/transformer_for_test.h"

namespace thresher {
namespace {

std::optional<LayerLoop> LoopOf(const TransformerShape& shape,
                                const std::vector<HookPoint>& hooks) {
  return FindLayerLoop(BuildTransformer(shape).PrunedTo(hooks).value());
}

TEST(LayerLoopTest, WholeLayersAfterTheEmbedding) {
  const std::optional<LayerLoop> loop = LoopOf({.layers = 5}, {{4, HookKind::kResidPost}});
  ASSERT_TRUE(loop);
  EXPECT_EQ(loop->first, 1u);
  EXPECT_EQ(loop->count, 5u);
  const size_t nodes =
      BuildTransformer({.layers = 5}).PrunedTo({{4, HookKind::kResidPost}})->nodes().size();
  EXPECT_EQ(loop->end(), nodes);
  // The residual stream is the last value of a layer.
  EXPECT_EQ(loop->carried, std::vector<size_t>{loop->period - 1});
}

TEST(LayerLoopTest, ALastLayerThatEndsEarlyIsLeftOut) {
  const std::optional<LayerLoop> loop = LoopOf({.layers = 5}, {{4, HookKind::kAttnOut}});
  ASSERT_TRUE(loop);
  EXPECT_EQ(loop->count, 4u);
}

TEST(LayerLoopTest, OneLayerIsNoLoop) {
  EXPECT_FALSE(LoopOf({.layers = 1}, {{0, HookKind::kResidPost}}));
  EXPECT_FALSE(LoopOf({.layers = 3}, {{-1, HookKind::kEmbed}}));
}

TEST(LayerLoopTest, LayersThatDifferAreNotJoined) {
  // Widths that differ from layer to layer.
  Graph graph;
  const ParameterId table = graph.AddParameter("table", {10, 4});
  ValueId value = graph.AddNode(Embed{table});
  for (const int64_t width : {8, 16, 32}) {
    const ParameterId weight =
        graph.AddParameter("w" + std::to_string(width), {width, graph.width(value)});
    value = graph.AddNode(Linear{value, weight, std::nullopt});
  }
  graph.SetHook({0, HookKind::kResidPost}, value);
  EXPECT_FALSE(FindLayerLoop(graph));
}

}  // namespace
}  // namespace thresher
