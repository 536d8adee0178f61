#include "engine/pjrt/pjrt_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/common/transformer_for_test.h"
#include "engine/pjrt/plugin_for_test.h"
#include "shard/convert.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The stored rows of every hook point of one batch.
struct Captured {
  std::vector<std::vector<std::byte>> rows;
  std::vector<std::vector<float>> scales;
  std::vector<HookOutput> outputs;
};

// Relative L2.
double RelativeError(std::span<const float> expected, std::span<const float> found) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{found[i]} - expected[i], 2);
    norm += double{expected[i]} * expected[i];
  }
  return std::sqrt(difference / norm);
}

class PjrtEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    const Result<std::string> path = CpuPluginPath();
    if (!path.ok()) GTEST_SKIP() << path.status().message();
  }

  void Build(const TransformerShape& shape, DType weight_dtype = DType::kF32) {
    graph_ = BuildTransformer(shape);
    weights_.emplace(graph_, weight_dtype, 7);
    hooks_ = AllHooks(graph_);
  }

  Result<std::unique_ptr<Engine>> Create(const PjrtEngineOptions& options) const {
    ASSIGN_OR_RETURN(std::unique_ptr<PjrtClient> client, CpuClient());
    return CreatePjrtEngine(std::move(client), graph_, weights_->lookup(), hooks_, options);
  }

  Captured Room(int64_t rows, DType stored) const {
    Captured captured;
    for (const HookPoint& hook : hooks_) {
      const int64_t bytes = rows * graph_.width(graph_.hooks().at(hook)) * DTypeBytes(stored);
      captured.rows.emplace_back(static_cast<size_t>(bytes)).reserve(1);
      captured.scales.emplace_back(static_cast<size_t>(rows)).reserve(1);  // never no memory
      captured.outputs.push_back({captured.rows.back().data(), captured.scales.back().data()});
    }
    return captured;
  }

  Captured Forward(Engine& engine, const PackedBatch& batch, DType stored) const {
    Captured captured = Room(batch.row_count(), stored);
    const Status status = engine.Forward(batch, captured.outputs);
    EXPECT_TRUE(status.ok()) << status.message();
    return captured;
  }

  Captured Run(const TestBatch& batch, const PjrtEngineOptions& options) const {
    Result<std::unique_ptr<Engine>> engine = Create(options);
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    if (!engine.ok()) return {};
    return Forward(**engine, batch.packed(), options.stored_dtype);
  }

  // Relative L2 error of each hook point against the slow reference, the worst of them.
  double WorstError(const TestBatch& batch, const Captured& captured, DType stored) const {
    std::map<HookPoint, std::vector<double>> expected;
    for (size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
      const auto values =
          ReferenceForward(graph_, weights_->reference_lookup(), batch.Only(s).token_ids, hooks_);
      for (const auto& [hook, rows] : *values) {
        expected[hook].insert(expected[hook].end(), rows.begin(), rows.end());
      }
    }
    double worst = 0;
    for (size_t h = 0; h < hooks_.size(); ++h) {
      const std::vector<double>& reference = expected.at(hooks_[h]);
      std::vector<float> found(reference.size());
      const auto rows = static_cast<int64_t>(batch.token_ids.size());
      DecodeRows(captured.rows[h].data(), captured.scales[h].data(), rows,
                 static_cast<int64_t>(reference.size()) / rows, stored, found.data());
      double difference = 0;
      double norm = 0;
      for (size_t i = 0; i < found.size(); ++i) {
        difference += std::pow(double{found[i]} - reference[i], 2);
        norm += reference[i] * reference[i];
      }
      const double error = std::sqrt(difference / norm);
      EXPECT_FALSE(std::isnan(error)) << HookName(hooks_[h]);
      worst = std::max(worst, error);
    }
    return worst;
  }

  Graph graph_;
  std::optional<TestWeights> weights_;
  std::vector<HookPoint> hooks_;
};

const TransformerShape kShapes[] = {
    {.layers = 3},
    {.hidden = 64, .heads = 1, .kv_heads = 1, .head_dim = 80, .frequencies = 10},
    {.hidden = 96, .heads = 4, .kv_heads = 4, .has_qkv_bias = false, .window = 20},
    {.hidden = 40, .intermediate = 33, .layers = 3, .is_parallel = true},
};
// Several blocks of queries, some of them with sequences of more than one block before them.
const std::vector<int64_t> kLengths = {1, 70, 33, 140, 2};

PjrtEngineOptions InF32() {
  PjrtEngineOptions options;
  options.name = "xla-cpu";
  options.compute = DType::kF32;
  options.stored_dtype = DType::kF32;
  options.max_batch_tokens = 256;
  options.attention_block = 64;
  options.mesh = {.data = 1, .model = 1};
  options.whole_attention_up_to = 64;  // as with the usual block: one of that size, or a loop
  return options;
}

TEST_F(PjrtEngineTest, EveryHookIsNearTheReferenceInF32) {
  for (const TransformerShape& shape : kShapes) {
    Build(shape);
    const TestBatch batch(kLengths, 50, 1);
    EXPECT_LT(WorstError(batch, Run(batch, InF32()), DType::kF32), 3e-6);
  }
}

// Against all keys at once, as on GPUs.
TEST_F(PjrtEngineTest, WholeAttentionIsNearTheReferenceInF32) {
  for (const TransformerShape& shape : kShapes) {
    Build(shape);
    const TestBatch batch(kLengths, 50, 1);
    PjrtEngineOptions options = InF32();
    options.whole_attention_up_to = 256;
    EXPECT_LT(WorstError(batch, Run(batch, options), DType::kF32), 3e-6);
  }
}

TEST_F(PjrtEngineTest, LayersNeedNoLoop) {
  Build({.layers = 3});
  const TestBatch batch(kLengths, 50, 1);
  PjrtEngineOptions options = InF32();
  options.loop_layers = false;
  EXPECT_LT(WorstError(batch, Run(batch, options), DType::kF32), 3e-6);
}

TEST_F(PjrtEngineTest, EveryHookIsNearTheReferenceInBf16) {
  Build({.layers = 3}, DType::kBf16);
  const TestBatch batch(kLengths, 50, 1);
  PjrtEngineOptions options = InF32();
  options.compute = DType::kBf16;
  options.stored_dtype = DType::kBf16;
  EXPECT_LT(WorstError(batch, Run(batch, options), DType::kBf16), 2e-2);
}

TEST_F(PjrtEngineTest, StoredDTypes) {
  Build({});
  const TestBatch batch({5, 40}, 50, 2);
  for (const auto& [stored, bound] : {std::pair(DType::kF16, 1e-3), std::pair(DType::kF8E4M3, 4e-2),
                                      std::pair(DType::kI8, 2e-2)}) {
    PjrtEngineOptions options = InF32();
    options.stored_dtype = stored;
    EXPECT_LT(WorstError(batch, Run(batch, options), stored), bound);
  }
}

// A sequence's rows are the same whatever lies beside it, but for rounding.
TEST_F(PjrtEngineTest, PackedEqualsOneByOne) {
  Build({.layers = 3, .window = 20});
  const TestBatch batch(kLengths, 50, 3);
  Result<std::unique_ptr<Engine>> engine = Create(InF32());
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  const Captured packed = Forward(**engine, batch.packed(), DType::kF32);
  for (size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
    const TestBatch only = batch.Only(s);
    const Captured alone = Forward(**engine, only.packed(), DType::kF32);
    for (size_t h = 0; h < hooks_.size(); ++h) {
      const size_t values = alone.rows[h].size() / sizeof(float);
      const auto width = static_cast<int64_t>(values / only.token_ids.size());
      const auto* a = reinterpret_cast<const float*>(alone.rows[h].data());
      const auto* b =
          reinterpret_cast<const float*>(packed.rows[h].data()) + batch.offsets[s] * width;
      EXPECT_LT(RelativeError({a, values}, {b, values}), 2e-6)
          << HookName(hooks_[h]) << ", sequence " << s;
    }
  }
}

// Hook points of some layers only, in a graph that ends in the middle of one.
TEST_F(PjrtEngineTest, ASubsetIsThatPartOfTheWhole) {
  Build({.layers = 4});
  const TestBatch batch({30, 9}, 50, 4);
  hooks_ = {{0, HookKind::kQ},         {0, HookKind::kResidPost}, {1, HookKind::kResidPre},
            {1, HookKind::kResidPost}, {2, HookKind::kMlpPost},   {3, HookKind::kAttnOut}};
  EXPECT_LT(WorstError(batch, Run(batch, InF32()), DType::kF32), 3e-6);
  hooks_ = {{-1, HookKind::kEmbed}};
  EXPECT_EQ(WorstError(batch, Run(batch, InF32()), DType::kF32), 0);
}

// The rows that the host picks of all.
std::vector<std::byte> Picked(const std::vector<std::byte>& rows, size_t tokens,
                              const std::vector<int32_t>& stored) {
  const size_t row_bytes = rows.size() / tokens;
  std::vector<std::byte> picked;
  for (const int32_t token : stored) {
    const auto row = rows.begin() + static_cast<std::ptrdiff_t>(row_bytes) * token;
    picked.insert(picked.end(), row, row + static_cast<std::ptrdiff_t>(row_bytes));
  }
  return picked;
}

// Few enough rows that the device picks them, and so many that the host does.
std::vector<std::vector<int32_t>> Selections(const TestBatch& batch) {
  const auto tokens = static_cast<int32_t>(batch.token_ids.size());
  std::vector<std::vector<int32_t>> selections = {{}, {0}, {tokens - 1}, {0, tokens - 1}};
  std::vector<int32_t> last_of_each;
  for (size_t s = 1; s < batch.offsets.size(); ++s) {
    last_of_each.push_back(static_cast<int32_t>(batch.offsets[s] - 1));
  }
  selections.push_back(last_of_each);
  for (const int32_t interval : {17, 5, 2, 1}) {
    selections.emplace_back();
    for (int32_t token = 0; token < tokens; token += interval) selections.back().push_back(token);
  }
  return selections;
}

// Bit for bit, whatever device runs a batch.
TEST_F(PjrtEngineTest, SelectedRowsAreThoseOfAllTokens) {
  Build({.layers = 3});
  const TestBatch batch(kLengths, 50, 5);
  PjrtEngineOptions options = InF32();
  options.mesh = {.data = 2, .model = 1};
  options.stored_dtype = DType::kI8;
  options.stored_share = 0.1;
  Result<std::unique_ptr<Engine>> engine = Create(options);
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  const Captured whole = Forward(**engine, batch.packed(), DType::kI8);
  for (const std::vector<int32_t>& selection : Selections(batch)) {
    PackedBatch selected = batch.packed();
    selected.stored_tokens = selection;
    const Captured part = Forward(**engine, selected, DType::kI8);
    for (size_t h = 0; h < hooks_.size(); ++h) {
      EXPECT_EQ(part.rows[h], Picked(whole.rows[h], batch.token_ids.size(), selection))
          << HookName(hooks_[h]) << ", " << selection.size() << " rows";
      for (size_t r = 0; r < selection.size(); ++r) {
        EXPECT_EQ(part.scales[h][r], whole.scales[h][static_cast<size_t>(selection[r])]);
      }
    }
  }
}

// The compiler divides the work of devices that share a batch in another way, and rounding with it.
TEST_F(PjrtEngineTest, SelectedRowsOfDevicesThatShareABatch) {
  Build({.layers = 3});
  const TestBatch batch(kLengths, 50, 5);
  PjrtEngineOptions options = InF32();
  options.mesh = {.data = 1, .model = 2};
  Result<std::unique_ptr<Engine>> engine = Create(options);
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  const Captured whole = Forward(**engine, batch.packed(), DType::kF32);
  const std::vector<int32_t> selection = {0, 9, 10, 30, 31, 130, 245};
  PackedBatch selected = batch.packed();
  selected.stored_tokens = selection;
  const Captured part = Forward(**engine, selected, DType::kF32);
  for (size_t h = 0; h < hooks_.size(); ++h) {
    const auto expected = Picked(whole.rows[h], batch.token_ids.size(), selection);
    ASSERT_EQ(part.rows[h].size(), expected.size());
    const auto* a = reinterpret_cast<const float*>(expected.data());
    const auto* b = reinterpret_cast<const float*>(part.rows[h].data());
    EXPECT_LT(RelativeError({a, expected.size() / 4}, {b, expected.size() / 4}), 1e-6)
        << HookName(hooks_[h]);
  }
}

// A program without a loop, whose results are not stacked.
TEST_F(PjrtEngineTest, SelectedRowsWithoutALoop) {
  Build({});
  const TestBatch batch(kLengths, 50, 5);
  PjrtEngineOptions options = InF32();
  options.loop_layers = false;
  Result<std::unique_ptr<Engine>> engine = Create(options);
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  const Captured whole = Forward(**engine, batch.packed(), DType::kF32);
  const std::vector<int32_t> selection = {0, 9, 10, 245};
  PackedBatch selected = batch.packed();
  selected.stored_tokens = selection;
  const Captured part = Forward(**engine, selected, DType::kF32);
  for (size_t h = 0; h < hooks_.size(); ++h) {
    EXPECT_EQ(part.rows[h], Picked(whole.rows[h], batch.token_ids.size(), selection));
  }
}

TEST_F(PjrtEngineTest, BatchesInFlightComeBackInOrder) {
  Build({});
  PjrtEngineOptions options = InF32();
  options.mesh = {.data = 3, .model = 1};
  Result<std::unique_ptr<Engine>> engine = Create(options);
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  EXPECT_EQ((*engine)->queue_depth(), 6u);
  std::vector<TestBatch> batches;
  for (uint64_t i = 0; i < 7; ++i) batches.emplace_back(std::vector<int64_t>{8, 30}, 50, 10 + i);
  std::vector<Captured> captured;
  for (size_t i = 0; i < batches.size(); ++i) captured.push_back(Room(38, DType::kF32));
  size_t finished = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    if (i - finished == (*engine)->queue_depth()) {
      ASSERT_TRUE((*engine)->Finish().ok());
      ++finished;
    }
    ASSERT_TRUE((*engine)->Submit(batches[i].packed(), captured[i].outputs).ok());
  }
  for (; finished < batches.size(); ++finished) ASSERT_TRUE((*engine)->Finish().ok());
  for (size_t i = 0; i < batches.size(); ++i) {
    EXPECT_LT(WorstError(batches[i], captured[i], DType::kF32), 3e-6) << i;
  }
}

// Weights split over devices: what is split depends on what divides.
TEST_F(PjrtEngineTest, DevicesShareABatch) {
  const TransformerShape shapes[] = {
      {.intermediate = 100, .layers = 3, .heads = 6, .kv_heads = 2},  // 4: the MLP only
      {.hidden = 96, .intermediate = 96, .layers = 2, .heads = 8, .kv_heads = 4},
      {.hidden = 40, .intermediate = 33, .layers = 2, .heads = 3, .kv_heads = 3},  // nothing
  };
  for (const TransformerShape& shape : shapes) {
    Build(shape);
    const TestBatch batch({20, 40}, 50, 6);
    for (const DeviceMesh mesh : {DeviceMesh{2, 2}, DeviceMesh{1, 4}}) {
      PjrtEngineOptions options = InF32();
      options.max_batch_tokens = 64;
      options.attention_block = 16;
      options.mesh = mesh;
      options.whole_attention_up_to = 16;  // tests/accelerator_test.cc has the other form
      EXPECT_LT(WorstError(batch, Run(batch, options), DType::kF32), 3e-6)
          << "model=" << mesh.model;
    }
  }
}

TEST_F(PjrtEngineTest, AMeshNeedsItsDevices) {
  Build({});
  PjrtEngineOptions options = InF32();
  options.mesh = {.data = 2, .model = 3};
  const auto engine = Create(options);
  ASSERT_FALSE(engine.ok());
  EXPECT_THAT(engine.status().message(),
              HasSubstr("data=2, model=3 needs 6 devices and there are 4"));
}

TEST_F(PjrtEngineTest, BadBatchesAreRefused) {
  Build({});
  Result<std::unique_ptr<Engine>> engine = Create(InF32());
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  Captured room = Room(3, DType::kF32);
  const std::vector<int64_t> offsets = {0, 3};
  const std::vector<int32_t> ids = {1, 50, 2};
  const Status status = (*engine)->Forward({ids, offsets}, room.outputs);
  EXPECT_THAT(status.message(), HasSubstr("token id 50 (token 1 of the batch)"));
}

}  // namespace
}  // namespace thresher
