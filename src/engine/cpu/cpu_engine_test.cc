#include "engine/cpu/cpu_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/cpu/numbers_for_test.h"
#include "model/golden_for_test.h"
#include "model/model.h"

namespace thresher {
namespace {

// The golden activations of real architectures, all sequences packed into one batch.
class GoldenEngine : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(, GoldenEngine,
                         testing::Values("qwen2", "llama", "llama3rope", "mistral", "smollm2"),
                         [](const auto& test) { return test.param; });

// The largest relative error of any golden tensor.
double LargestError(const Model& model, const std::map<int, GoldenSequence>& sequences,
                    CpuCompute compute) {
  std::vector<HookPoint> hooks;
  for (const auto& [hook, values] : sequences.begin()->second.values) hooks.push_back(hook);
  auto engine = CreateCpuEngine(model, hooks, {.compute = compute, .stored_dtype = DType::kF32});
  EXPECT_TRUE(engine.ok()) << engine.status().message();

  std::vector<int32_t> token_ids;
  std::vector<int64_t> offsets = {0};
  for (const auto& [index, sequence] : sequences) {
    token_ids.insert(token_ids.end(), sequence.token_ids.begin(), sequence.token_ids.end());
    offsets.push_back(static_cast<int64_t>(token_ids.size()));
  }
  std::vector<std::vector<float>> rows;
  std::vector<HookOutput> outputs;
  for (const HookPoint& hook : hooks) {
    const int64_t width = model.graph.width(model.graph.FindHook(hook).value());
    rows.emplace_back(token_ids.size() * static_cast<size_t>(width));
    outputs.push_back({reinterpret_cast<std::byte*>(rows.back().data()), nullptr});
  }
  const Status status = (*engine)->Forward({token_ids, offsets}, outputs);
  EXPECT_TRUE(status.ok()) << status.message();

  double largest = 0;
  for (size_t i = 0; i < hooks.size(); ++i) {
    std::vector<double> expected;
    for (const auto& [index, sequence] : sequences) {
      const std::vector<double>& values = sequence.values.at(hooks[i]);
      expected.insert(expected.end(), values.begin(), values.end());
    }
    largest = std::max(largest, RelativeError<float>(rows[i], expected));
  }
  return largest;
}

TEST_P(GoldenEngine, ReproducesTransformers) {
  const Result<Model> model = LoadModel(TestDataPath("golden/" + GetParam()));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto sequences = LoadGolden(GetParam(), static_cast<int32_t>(model->layer_count));
  EXPECT_LT(LargestError(*model, sequences, CpuCompute::kF32), kGoldenTolerance);
  if (OneDnnHasAvx512()) {
    EXPECT_LT(LargestError(*model, sequences, CpuCompute::kBf16), 3e-2);
  }
}

TEST(CpuEngineTest, NamesAHookPointThatTheModelLacks) {
  const Result<Model> model = LoadModel(TestDataPath("golden/qwen2"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto engine = CreateCpuEngine(*model, {{99, HookKind::kQ}}, {});
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.status().code(), Code::kInvalidArgument);
  EXPECT_NE(engine.status().message().find("blocks.99.attn.hook_q"), std::string::npos);
}

}  // namespace
}  // namespace thresher
