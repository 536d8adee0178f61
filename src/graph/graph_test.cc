#include "graph/graph.h"

#include <gtest/gtest.h>

namespace thresher {
namespace {

constexpr HookPoint kEmbedHook{-1, HookKind::kEmbed};
constexpr HookPoint kMlpOutHook{0, HookKind::kMlpOut};
constexpr HookPoint kResidPostHook{0, HookKind::kResidPost};

// Embedding, one linear, one addition.
Graph TinyGraph() {
  Graph graph;
  const ParameterId table = graph.AddParameter("table", {10, 4});
  const ParameterId weight = graph.AddParameter("weight", {4, 4});
  const ValueId embedded = graph.AddNode(Embed{table});
  const ValueId mixed = graph.AddNode(Linear{embedded, weight, std::nullopt});
  const ValueId sum = graph.AddNode(Add{embedded, mixed});
  graph.SetHook(kEmbedHook, embedded);
  graph.SetHook(kMlpOutHook, mixed);
  graph.SetHook(kResidPostHook, sum);
  return graph;
}

TEST(GraphTest, WidthsFollowFromOperations) {
  Graph graph;
  const ValueId embedded = graph.AddNode(Embed{graph.AddParameter("table", {10, 4})});
  const ValueId wide =
      graph.AddNode(Linear{embedded, graph.AddParameter("weight", {6, 4}), std::nullopt});
  EXPECT_EQ(graph.width(embedded), 4);
  EXPECT_EQ(graph.width(wide), 6);
}

TEST(GraphTest, PruningStopsAtTheDeepestHook) {
  const Graph graph = TinyGraph();
  EXPECT_EQ(graph.PrunedTo({kEmbedHook})->nodes().size(), 1u);
  EXPECT_EQ(graph.PrunedTo({kEmbedHook, kMlpOutHook})->nodes().size(), 2u);
  EXPECT_EQ(graph.PrunedTo({kResidPostHook})->nodes().size(), 3u);
  EXPECT_EQ(graph.PrunedTo({kResidPostHook})->hooks().size(), 1u);
}

TEST(GraphTest, UnknownHookIsAnError) {
  const auto pruned = TinyGraph().PrunedTo({{7, HookKind::kQ}});
  ASSERT_FALSE(pruned.ok());
  EXPECT_NE(pruned.status().message().find("blocks.7.attn.hook_q"), std::string::npos);
}

TEST(GraphTest, CountsFlopsOfLinearsAndAttention) {
  Graph graph = TinyGraph();
  EXPECT_EQ(graph.CountFlops().per_token, 2.0 * 4 * 4);
  graph.AddNode(Attention{0, 0, 0, 2, 2, 2, 1.0f, std::nullopt});
  EXPECT_EQ(graph.CountFlops().per_query_key_pair, 4.0 * 2 * 2);
}

TEST(GraphDeathTest, OperandsThatDoNotFitAbort) {
  Graph graph = TinyGraph();
  const ParameterId wrong = graph.AddParameter("wrong", {4, 5});
  EXPECT_DEATH(graph.AddNode(Linear{0, wrong, std::nullopt}), "check failed");
  EXPECT_DEATH(graph.SetHook(kEmbedHook, 0), "check failed");
}

}  // namespace
}  // namespace thresher
