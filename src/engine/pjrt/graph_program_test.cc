#include "engine/pjrt/graph_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/common/transformer_for_test.h"

namespace thresher {
namespace {

using testing::SizeIs;

GraphProgram ProgramOf(const Graph& graph, const GraphProgramOptions& options) {
  Result<GraphProgram> program = WriteGraphProgram(graph, AllHooks(graph), options);
  EXPECT_TRUE(program.ok()) << program.status().message();
  return program.ok() ? *std::move(program) : GraphProgram();
}

// The largest product of two extents of one tensor of the module.
int64_t LargestMatrix(const std::string& module) {
  constexpr std::string_view kTensor = "tensor<";
  int64_t largest = 0;
  for (size_t at = module.find(kTensor); at != module.npos; at = module.find(kTensor, at + 1)) {
    std::vector<int64_t> extents;
    const char* text = module.c_str() + at + kTensor.size();
    for (char* end = nullptr; *text >= '0' && *text <= '9'; text = end + 1) {
      extents.push_back(std::strtoll(text, &end, 10));
    }
    for (size_t i = 0; i < extents.size(); ++i) {
      for (size_t k = 0; k < i; ++k) largest = std::max(largest, extents[i] * extents[k]);
    }
  }
  return largest;
}

// 32,768 tokens: no matrix of all scores, and a program as large as that for 2,048.
TEST(GraphProgramTest, LongSequencesNeedNoMatrixOfScores) {
  const Graph graph = BuildTransformer({.layers = 3});
  const std::string few = ProgramOf(graph, {.tokens = 2048}).module;
  const std::string many = ProgramOf(graph, {.tokens = 32768}).module;
  EXPECT_LT(LargestMatrix(many), int64_t{32768} * 1024);
  EXPECT_NEAR(static_cast<double>(many.size()) / static_cast<double>(few.size()), 1, 0.02);
  const GraphProgramOptions whole = {.tokens = 32768, .whole_attention_up_to = 32768};
  EXPECT_GE(LargestMatrix(ProgramOf(graph, whole).module), int64_t{32768} * 512);
}

// Picked rows are the only difference of the results, and of the arguments one list.
TEST(GraphProgramTest, PickedRows) {
  const Graph graph = BuildTransformer({.layers = 3});
  const GraphProgram all = ProgramOf(graph, {.tokens = 256});
  const GraphProgram picked = ProgramOf(graph, {.tokens = 256, .picked_rows = 48});
  EXPECT_FALSE(all.picks_rows);
  EXPECT_TRUE(picked.picks_rows);
  ASSERT_THAT(picked.results, SizeIs(all.results.size()));
  for (size_t r = 0; r < all.results.size(); ++r) {
    std::vector<int64_t> shape = all.results[r].shape;
    EXPECT_EQ(shape[shape.size() - 2], 256);
    shape[shape.size() - 2] = 48;
    EXPECT_EQ(picked.results[r].shape, shape);
  }
  ASSERT_THAT(picked.arguments, SizeIs(all.arguments.size() + 1));
  // The last one has a number for each token, as tests/faulty_plugin.cc expects.
  EXPECT_EQ(std::get<BatchArgument>(picked.arguments.back().meaning).input, BatchInput::kStarts);
}

}  // namespace
}  // namespace thresher
