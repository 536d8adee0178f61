#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "roofline/batch_estimate.h"
#include "roofline/chip.h"

namespace thresher {
namespace {

using testing::DoubleEq;
using testing::HasSubstr;

TEST(ChipTest, TheTableIsWhole) {
  std::set<std::string> names;
  for (const Chip& chip : ChipTable()) {
    EXPECT_TRUE(names.insert(chip.name).second) << chip.name;
    // FLOPs for each byte of memory traffic: of every chip since 2020 some hundred.
    const double balance = chip.peak_flops / chip.memory_bytes_per_second;
    EXPECT_GT(balance, 100) << chip.name;
    EXPECT_LT(balance, 1000) << chip.name;
    EXPECT_GE(chip.memory_bytes, 16e9) << chip.name;
    EXPECT_THAT(chip.source, HasSubstr("https://")) << chip.name;
    EXPECT_EQ(chip.as_of.size(), 7U) << chip.name;
  }
  EXPECT_THAT(FindChip("v9").status().message(), HasSubstr("v4, v5e, v5p, v6e, h100"));
}

TEST(ChipTest, DevicesAreKnownByWhatTheyCallThemselves) {
  EXPECT_EQ(ChipOfDevice("TPU v5 lite")->name, "v5e");
  EXPECT_EQ(ChipOfDevice("TPU v5")->name, "v5p");
  EXPECT_EQ(ChipOfDevice("NVIDIA H100 80GB HBM3")->name, "h100");
  EXPECT_FALSE(ChipOfDevice("NVIDIA H100 PCIe").has_value());
  EXPECT_FALSE(ChipOfDevice("cpu").has_value());
}

TEST(ChipTest, TheSlowestOfThreeDecides) {
  const Chip chip = {.name = "x",
                     .description = "",
                     .peak_flops = 100,
                     .memory_bytes = 1,
                     .memory_bytes_per_second = 10,
                     .link_bytes_per_second = 5,
                     .source = "",
                     .as_of = ""};
  const auto bound = [&](const ChipWork& work) { return RooflineOf(chip, work).bound(); };
  EXPECT_EQ(bound({.flops = 300, .memory_bytes = 20, .link_bytes = 5}), "compute");
  EXPECT_EQ(bound({.flops = 100, .memory_bytes = 20, .link_bytes = 5}), "memory");
  EXPECT_EQ(bound({.flops = 100, .memory_bytes = 20, .link_bytes = 15}), "links");
  const Roofline roofline = RooflineOf(chip, {.flops = 300, .memory_bytes = 20, .link_bytes = 5});
  EXPECT_THAT(roofline.seconds(), DoubleEq(3));
  EXPECT_THAT(roofline.compute_margin(), DoubleEq(1.5));
}

// x -> linear [4, 8] -> linear [8, 4] -> x + that.
Graph SmallGraph() {
  Graph graph;
  const ValueId x = graph.AddNode(Embed{graph.AddParameter("e", {10, 4})});
  const ValueId up = graph.AddNode(Linear{x, graph.AddParameter("up", {8, 4}), std::nullopt});
  const ValueId down = graph.AddNode(Linear{up, graph.AddParameter("down", {4, 8}), std::nullopt});
  graph.AddNode(Add{x, down});
  return graph;
}

TEST(BatchEstimateTest, CountsWeightsActivationsAndRows) {
  const Graph graph = SmallGraph();
  BatchEstimateInputs inputs{
      .pruned = graph, .tokens = 100, .flops = 12800, .row_bytes = 8, .chips = 1};
  ChipWork work = EstimateBatchWork(inputs);
  EXPECT_THAT(work.flops, DoubleEq(12800));
  // Weights 2 * 64; a token: linears 2 * (12 + 12), the addition 3 * 4 * 4, rows 8.
  EXPECT_THAT(work.memory_bytes, DoubleEq(128 + 100 * (48 + 48 + 8)));
  EXPECT_THAT(work.link_bytes, DoubleEq(0));
  inputs.chips = 4;
  work = EstimateBatchWork(inputs);
  EXPECT_THAT(work.flops, DoubleEq(3200));
  EXPECT_THAT(work.memory_bytes, DoubleEq((128 + 100 * 104) / 4.0));
  EXPECT_THAT(work.link_bytes, DoubleEq(100 * 16 * 1.5));
}

TEST(BatchEstimateTest, AsManyChipsAsTheWeightsNeed) {
  const Graph graph = SmallGraph();
  const BatchEstimateInputs inputs{
      .pruned = graph, .tokens = 1, .flops = 0, .row_bytes = 8, .chips = 1};
  Chip chip = {.name = "x", .description = "", .source = "", .as_of = ""};
  const auto chips = [&](double memory_bytes) {
    chip.memory_bytes = memory_bytes;
    return ChipsForModel(inputs, chip).value_or(0);
  };
  EXPECT_EQ(chips(160), 1);  // 144 bytes are exactly nine tenths
  EXPECT_EQ(chips(159), 2);
  EXPECT_EQ(chips(20), 8);
  EXPECT_EQ(chips(19), 0);
}

}  // namespace
}  // namespace thresher
