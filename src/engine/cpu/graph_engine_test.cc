#include "engine/cpu/graph_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/common/transformer_for_test.h"
#include "engine/cpu/amx_product.h"
#include "engine/cpu/numbers_for_test.h"

namespace thresher {
namespace {

// The stored rows of every hook point, then their scales.
struct Captured {
  std::vector<std::vector<std::byte>> rows;
  std::vector<std::vector<float>> scales;

  bool operator==(const Captured&) const = default;
};

struct Fixture {
  explicit Fixture(const TransformerShape& model_shape, DType weight_dtype = DType::kF32)
      : shape(model_shape), graph(BuildTransformer(shape)), weights(graph, weight_dtype, 7) {}

  Result<std::unique_ptr<GraphEngine>> Create(const std::vector<HookPoint>& hooks,
                                              const CpuEngineOptions& options) const {
    return GraphEngine::Create(graph, weights.lookup(), hooks, options);
  }

  Captured Forward(GraphEngine& engine, const std::vector<HookPoint>& hooks, const TestBatch& batch,
                   DType stored) const {
    return Forward(engine, hooks, batch.packed(), stored);
  }

  Captured Forward(GraphEngine& engine, const std::vector<HookPoint>& hooks,
                   const PackedBatch& batch, DType stored) const {
    Captured captured;
    const int64_t rows = batch.row_count();
    constexpr size_t kGuard = 1;  // a row behind the last one
    std::vector<HookOutput> outputs;
    for (const HookPoint& hook : hooks) {
      const auto row_bytes = RowBytes(hook, stored);
      captured.rows.emplace_back((static_cast<size_t>(rows) + kGuard) * row_bytes, kUnwritten);
      captured.scales.emplace_back(static_cast<size_t>(rows) + kGuard, -1.0F);
      outputs.push_back({captured.rows.back().data(), captured.scales.back().data()});
    }
    const Status status = engine.Forward(batch, outputs);
    EXPECT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < hooks.size(); ++i) {
      const auto row_bytes = RowBytes(hooks[i], stored);
      EXPECT_TRUE(std::all_of(captured.rows[i].end() - static_cast<ptrdiff_t>(kGuard * row_bytes),
                              captured.rows[i].end(),
                              [](std::byte byte) { return byte == kUnwritten; }))
          << HookName(hooks[i]);
      captured.rows[i].resize(captured.rows[i].size() - kGuard * row_bytes);
      captured.scales[i].resize(static_cast<size_t>(rows));
    }
    return captured;
  }

  size_t RowBytes(const HookPoint& hook, DType stored) const {
    return static_cast<size_t>(graph.width(graph.hooks().at(hook)) * DTypeBytes(stored));
  }

  static constexpr std::byte kUnwritten{0x77};

  Captured Run(const std::vector<HookPoint>& hooks, const TestBatch& batch,
               const CpuEngineOptions& options) const {
    auto engine = Create(hooks, options);
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    return Forward(**engine, hooks, batch, options.stored_dtype);
  }

  // The reference's rows of all sequences, one after another.
  std::map<HookPoint, std::vector<double>> Reference(const std::vector<HookPoint>& hooks,
                                                     const TestBatch& batch) const {
    std::map<HookPoint, std::vector<double>> all;
    for (size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
      const auto values =
          ReferenceForward(graph, weights.reference_lookup(), batch.Only(s).token_ids, hooks);
      EXPECT_TRUE(values.ok()) << values.status().message();
      for (const auto& [hook, rows] : *values) {
        all[hook].insert(all[hook].end(), rows.begin(), rows.end());
      }
    }
    return all;
  }

  TransformerShape shape;
  Graph graph;
  TestWeights weights;
};

std::vector<float> Decode(const std::vector<std::byte>& rows, const std::vector<float>& scales,
                          DType stored) {
  const auto tokens = static_cast<int64_t>(scales.size());
  const int64_t width = static_cast<int64_t>(rows.size()) / DTypeBytes(stored) / tokens;
  std::vector<float> values(static_cast<size_t>(tokens * width));
  DecodeRows(rows.data(), scales.data(), tokens, width, stored, values.data());
  return values;
}

void ExpectNearReference(const Fixture& fixture, const std::vector<HookPoint>& hooks,
                         const TestBatch& batch, const CpuEngineOptions& options, double bound) {
  const Captured captured = fixture.Run(hooks, batch, options);
  const auto reference = fixture.Reference(hooks, batch);
  for (size_t i = 0; i < hooks.size(); ++i) {
    const std::vector<float> values =
        Decode(captured.rows[i], captured.scales[i], options.stored_dtype);
    EXPECT_LT(RelativeError<float>(values, reference.at(hooks[i])), bound) << HookName(hooks[i]);
  }
}

const TransformerShape kShapes[] = {
    {},
    {.hidden = 64, .heads = 1, .kv_heads = 1, .head_dim = 80, .frequencies = 10},
    {.hidden = 96, .heads = 4, .kv_heads = 4, .has_qkv_bias = false, .window = 20},
    {.hidden = 40, .intermediate = 33, .layers = 3, .is_parallel = true},
    {.hidden = 40, .intermediate = 1500, .layers = 1},  // gated in blocks of columns
    {.hidden = 100, .layers = 1, .heads = 2, .kv_heads = 1, .head_dim = 64, .frequencies = 32},
    {.layers = 1, .heads = 3, .kv_heads = 3, .head_dim = 96, .frequencies = 48},
    {.layers = 1, .heads = 2, .kv_heads = 2, .head_dim = 128, .frequencies = 64},
    {.hidden = 24, .layers = 1, .heads = 2, .kv_heads = 1, .head_dim = 256, .frequencies = 128},
};
const std::vector<int64_t> kLengths = {1, 70, 33, 140, 2};

TEST(GraphEngineTest, EveryHookIsNearTheReferenceInF32) {
  for (const TransformerShape& shape : kShapes) {
    const Fixture fixture(shape);
    ExpectNearReference(fixture, AllHooks(fixture.graph), TestBatch(kLengths, 50, 1),
                        {.compute = CpuCompute::kF32, .threads = 2, .stored_dtype = DType::kF32},
                        2e-6);
  }
}

TEST(GraphEngineTest, EveryHookIsNearTheReferenceInBf16) {
  if (!OneDnnHasAvx512()) GTEST_SKIP() << "no AVX-512";
  for (const TransformerShape& shape : kShapes) {
    const Fixture fixture(shape, DType::kBf16);
    for (const bool on_tiles : {false, true}) {
      if (on_tiles && !AmxIsUsable()) continue;
      ExpectNearReference(fixture, AllHooks(fixture.graph), TestBatch(kLengths, 50, 1),
                          {.compute = CpuCompute::kBf16,
                           .threads = 2,
                           .stored_dtype = DType::kF32,
                           .on_tiles = on_tiles},
                          2e-2);
    }
  }
}

// The product behind a gate in one piece or in blocks, and gated by the product before it or not:
// the same numbers, and in each way the same bytes whether or not its input is captured.
TEST(GraphEngineTest, GateBlocksMayBeSummedUp) {
  const TestBatch batch(kLengths, 50, 1);
  const HookPoint last = {1, HookKind::kResidPost};
  for (const TransformerShape& shape : {TransformerShape{.hidden = 40, .intermediate = 1500},
                                        TransformerShape{.hidden = 64, .intermediate = 1504}}) {
    const Fixture fixture(shape, DType::kBf16);
    for (const CpuCompute compute : {CpuCompute::kF32, CpuCompute::kBf16}) {
      if (compute == CpuCompute::kBf16 && !OneDnnHasAvx512()) continue;
      const double bound = compute == CpuCompute::kF32 ? 2e-6 : 2e-2;
      for (const auto& [sums, on_tiles] :
           {std::pair{false, false}, {true, false}, {false, true}, {true, true}}) {
        if (on_tiles && (compute == CpuCompute::kF32 || !AmxIsUsable())) continue;
        const CpuEngineOptions options = {.compute = compute,
                                          .stored_dtype = DType::kF32,
                                          .sums_gate_blocks = sums,
                                          .on_tiles = on_tiles};
        ExpectNearReference(fixture, AllHooks(fixture.graph), batch, options, bound);
        ExpectNearReference(fixture, {last}, batch, options, bound);
        const Captured alone = fixture.Run({last}, batch, options);
        const Captured both = fixture.Run({{1, HookKind::kMlpPost}, last}, batch, options);
        EXPECT_EQ(alone.rows[0], both.rows[1]);
      }
    }
  }
}

TEST(GraphEngineTest, WeightsOfEveryDType) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBf16}) {
    const Fixture fixture({}, dtype);
    ExpectNearReference(fixture, {{2, HookKind::kFinalNorm}}, TestBatch({40}, 50, 1),
                        {.compute = CpuCompute::kF32, .stored_dtype = DType::kF32}, 2e-6);
    if (!OneDnnHasAvx512()) continue;
    ExpectNearReference(fixture, {{2, HookKind::kFinalNorm}}, TestBatch({40}, 50, 1),
                        {.compute = CpuCompute::kBf16, .stored_dtype = DType::kF32}, 2e-2);
  }
}

TEST(GraphEngineTest, StoredDTypesAreTheF32RowsEncoded) {
  const Fixture fixture({});
  const std::vector<HookPoint> hooks = AllHooks(fixture.graph);
  const TestBatch batch(kLengths, 50, 1);
  for (const CpuCompute compute : {CpuCompute::kF32, CpuCompute::kBf16}) {
    if (compute == CpuCompute::kBf16 && !OneDnnHasAvx512()) continue;
    const Captured exact =
        fixture.Run(hooks, batch, {.compute = compute, .stored_dtype = DType::kF32});
    for (const DType stored : {DType::kF16, DType::kBf16, DType::kF8E4M3, DType::kI8}) {
      const Captured captured =
          fixture.Run(hooks, batch, {.compute = compute, .stored_dtype = stored});
      Captured expected = captured;
      for (size_t i = 0; i < hooks.size(); ++i) {
        const std::vector<float> values = Decode(exact.rows[i], exact.scales[i], DType::kF32);
        const auto tokens = static_cast<int64_t>(batch.token_ids.size());
        const int64_t width = static_cast<int64_t>(values.size()) / tokens;
        EncodeRows(values.data(), tokens, width, width, stored, expected.rows[i].data(),
                   expected.scales[i].data());
      }
      EXPECT_EQ(captured, expected) << DTypeName(stored);
    }
  }
}

// The rows of some tokens are those of the pass that writes all of them, to the last bit.
TEST(GraphEngineTest, StoredTokensAreRowsOfTheFullPass) {
  const Fixture fixture({});
  const std::vector<HookPoint> all_hooks = AllHooks(fixture.graph);
  const TestBatch batch({300, 1, 400, 77}, 50, 3);
  const auto tokens = static_cast<int32_t>(batch.token_ids.size());
  std::vector<std::vector<int32_t>> selections = {{}, {0}, {299, 300, 700, 777}, {tokens - 1}};
  for (const int32_t step : {1, 2, 7, 64, 500}) {
    std::vector<int32_t>& every = selections.emplace_back();
    for (int32_t token = step - 1; token < tokens; token += step) every.push_back(token);
  }
  Random random(11);
  for (const double share : {0.02, 0.5, 0.97}) {
    std::vector<int32_t>& some = selections.emplace_back();
    for (int32_t token = 0; token < tokens; ++token) {
      if (random.Uniform() < share) some.push_back(token);
    }
  }
  for (const auto& hooks : {all_hooks, {HookPoint{0, HookKind::kResidPost}}}) {
    for (const CpuCompute compute : {CpuCompute::kF32, CpuCompute::kBf16}) {
      if (compute == CpuCompute::kBf16 && !OneDnnHasAvx512()) continue;
      for (const DType stored :
           {DType::kF32, DType::kF16, DType::kBf16, DType::kF8E4M3, DType::kI8}) {
        const auto engine =
            fixture.Create(hooks, {.compute = compute, .threads = 2, .stored_dtype = stored});
        ASSERT_TRUE(engine.ok()) << engine.status().message();
        const Captured full = fixture.Forward(**engine, hooks, batch, stored);
        for (const std::vector<int32_t>& selection : selections) {
          Captured expected;
          for (size_t i = 0; i < hooks.size(); ++i) {
            const size_t row_bytes = fixture.RowBytes(hooks[i], stored);
            std::vector<std::byte>& rows = expected.rows.emplace_back();
            std::vector<float>& scales = expected.scales.emplace_back();
            for (const int32_t token : selection) {
              const auto row = full.rows[i].begin() + static_cast<ptrdiff_t>(token * row_bytes);
              rows.insert(rows.end(), row, row + static_cast<ptrdiff_t>(row_bytes));
              scales.push_back(full.scales[i][static_cast<size_t>(token)]);
            }
          }
          PackedBatch packed = batch.packed();
          packed.stored_tokens = selection;
          EXPECT_EQ(fixture.Forward(**engine, hooks, packed, stored), expected)
              << DTypeName(stored) << ", " << selection.size() << " rows";
        }
      }
    }
  }
}

// The residual stream is the sum of what is captured, to the last bit.
TEST(GraphEngineTest, ResidualSumsAreExact) {
  const Fixture fixture({});
  const std::vector<HookPoint> hooks = AllHooks(fixture.graph);
  for (const CpuCompute compute : {CpuCompute::kF32, CpuCompute::kBf16}) {
    if (compute == CpuCompute::kBf16 && !OneDnnHasAvx512()) continue;
    const Captured captured = fixture.Run(hooks, TestBatch(kLengths, 50, 1),
                                          {.compute = compute, .stored_dtype = DType::kF32});
    const auto values = [&](const HookPoint& hook) {
      const auto i = static_cast<size_t>(std::ranges::find(hooks, hook) - hooks.begin());
      return Decode(captured.rows[i], captured.scales[i], DType::kF32);
    };
    for (int32_t layer = 0; layer < 2; ++layer) {
      std::vector<float> sum = values({layer, HookKind::kResidPre});
      const std::vector<float> attention = values({layer, HookKind::kAttnOut});
      const std::vector<float> mlp = values({layer, HookKind::kMlpOut});
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += attention[i];
      EXPECT_EQ(sum, values({layer, HookKind::kResidMid}));
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += mlp[i];
      EXPECT_EQ(sum, values({layer, HookKind::kResidPost}));
    }
  }
}

TEST(GraphEngineTest, ThreadsAndRepetitionDoNotChangeAByte) {
  const Fixture fixture({});
  const std::vector<HookPoint> hooks = AllHooks(fixture.graph);
  const TestBatch batch({300, 1, 400, 77}, 50, 3);
  for (const CpuCompute compute : {CpuCompute::kF32, CpuCompute::kBf16}) {
    if (compute == CpuCompute::kBf16 && !OneDnnHasAvx512()) continue;
    CpuEngineOptions options = {.compute = compute, .threads = 1};
    const Captured one = fixture.Run(hooks, batch, options);
    for (const int threads : {2, 3, 20, 0}) {
      options.threads = threads;
      EXPECT_EQ(fixture.Run(hooks, batch, options), one) << threads << " threads";
    }
    // The same engine after batches of other sizes, which leave other numbers in its buffers.
    auto engine = fixture.Create(hooks, options);
    ASSERT_TRUE(engine.ok());
    for (const TestBatch& other : {TestBatch({3}, 50, 4), TestBatch({900, 900}, 50, 5)}) {
      fixture.Forward(**engine, hooks, other, options.stored_dtype);
      EXPECT_EQ(fixture.Forward(**engine, hooks, batch, options.stored_dtype), one);
    }
  }
}

TEST(GraphEngineTest, PackedEqualsOneByOne) {
  const Fixture fixture({});
  const std::vector<HookPoint> hooks = AllHooks(fixture.graph);
  const TestBatch batch({300, 1, 400, 77}, 50, 3);
  for (const CpuCompute compute : {CpuCompute::kF32, CpuCompute::kBf16}) {
    if (compute == CpuCompute::kBf16 && !OneDnnHasAvx512()) continue;
    const CpuEngineOptions options = {.compute = compute, .stored_dtype = DType::kF32};
    const Captured packed = fixture.Run(hooks, batch, options);
    Captured joined = packed;
    for (auto& rows : joined.rows) rows.clear();
    for (size_t s = 0; s < 4; ++s) {
      const Captured one = fixture.Run(hooks, batch.Only(s), options);
      for (size_t i = 0; i < hooks.size(); ++i) {
        joined.rows[i].insert(joined.rows[i].end(), one.rows[i].begin(), one.rows[i].end());
      }
    }
    for (size_t i = 0; i < hooks.size(); ++i) {
      const std::vector<float> expected = Decode(packed.rows[i], packed.scales[i], DType::kF32);
      const std::vector<float> values = Decode(joined.rows[i], joined.scales[i], DType::kF32);
      const std::vector<double> exact(expected.begin(), expected.end());
      EXPECT_LT(RelativeError<float>(values, exact), 1e-6) << HookName(hooks[i]);
    }
    // With AVX-512 not even the last bit depends on what else is in the batch.
    if (OneDnnHasAvx512()) {
      EXPECT_EQ(joined.rows, packed.rows);
    }
  }
}

// What is asked for beside it never changes a hook point's bytes, though the pass ends elsewhere,
// other linears are joined and buffers lie elsewhere.
TEST(GraphEngineTest, EachHookAloneEqualsAllTogether) {
  for (const bool is_parallel : {false, true}) {
    const Fixture fixture({.is_parallel = is_parallel});
    const std::vector<HookPoint> hooks = AllHooks(fixture.graph);
    const TestBatch batch({70, 40}, 50, 3);
    for (const CpuCompute compute : {CpuCompute::kF32, CpuCompute::kBf16}) {
      if (compute == CpuCompute::kBf16 && !OneDnnHasAvx512()) continue;
      const CpuEngineOptions options = {.compute = compute};
      const Captured all = fixture.Run(hooks, batch, options);
      for (size_t i = 0; i < hooks.size(); ++i) {
        const Captured alone = fixture.Run({hooks[i]}, batch, options);
        EXPECT_EQ(alone.rows[0], all.rows[i]) << HookName(hooks[i]);
      }
    }
  }
}

TEST(GraphEngineTest, OneSequenceMayBeLongerThanTheBatchSize) {
  const Fixture fixture({.layers = 1});
  ExpectNearReference(
      fixture, AllHooks(fixture.graph), TestBatch({700}, 50, 6),
      {.compute = CpuCompute::kF32, .max_batch_tokens = 16, .stored_dtype = DType::kF32}, 2e-6);
}

TEST(GraphEngineTest, RefusesWrongInput) {
  const Fixture fixture({});
  const std::vector<HookPoint> hooks = {{0, HookKind::kEmbed}};
  const std::vector<HookPoint> good = {{-1, HookKind::kEmbed}, {0, HookKind::kResidPost}};
  EXPECT_EQ(fixture.Create({}, {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(fixture.Create(hooks, {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(fixture.Create({good[1], good[0]}, {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(fixture.Create({good[0], good[0]}, {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(fixture.Create(good, {.threads = -1}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(fixture.Create(good, {.max_batch_tokens = 0}).status().code(), Code::kInvalidArgument);

  auto engine = fixture.Create(good, {.compute = CpuCompute::kF32});
  ASSERT_TRUE(engine.ok());
  std::vector<std::byte> rows(72 * 2 * 2);
  const std::vector<HookOutput> outputs(2, {rows.data(), nullptr});
  const auto run = [&](std::vector<int32_t> ids, std::vector<int64_t> offsets, size_t count = 2) {
    return (*engine)->Forward({ids, offsets}, std::span(outputs).first(count));
  };
  EXPECT_TRUE(run({0, 49}, {0, 2}).ok());
  EXPECT_TRUE(run({0, 49}, {0, 1, 2}).ok());
  EXPECT_EQ(run({0, 50}, {0, 2}).message(),
            "token id 50 (token 1 of the batch) is outside the vocabulary of 50 entries");
  EXPECT_EQ(run({-1, 0}, {0, 2}).code(), Code::kInvalidArgument);
  EXPECT_EQ(run({1, 0}, {0, 1}).code(), Code::kInvalidArgument);
  EXPECT_EQ(run({1, 0}, {1, 2}).code(), Code::kInvalidArgument);
  EXPECT_EQ(run({1, 0}, {0, 1, 1, 2}).code(), Code::kInvalidArgument);
  EXPECT_EQ(run({}, {0}).code(), Code::kInvalidArgument);
  EXPECT_EQ(run({}, {}).code(), Code::kInvalidArgument);
  EXPECT_EQ(run({1, 0}, {0, 2}, 1).code(), Code::kInvalidArgument);

  const auto run_stored = [&](const std::vector<int32_t>& stored_tokens) {
    const std::vector<int32_t> ids = {0, 49};
    const std::vector<int64_t> offsets = {0, 2};
    return (*engine)->Forward(
        {.token_ids = ids, .sequence_offsets = offsets, .stored_tokens = stored_tokens}, outputs);
  };
  for (const std::vector<int32_t>& good_list : {{}, {0}, {1}, std::vector<int32_t>{0, 1}}) {
    EXPECT_TRUE(run_stored(good_list).ok());
  }
  for (const std::vector<int32_t>& bad_list : {{-1}, {2}, {1, 0}, std::vector<int32_t>{1, 1}}) {
    EXPECT_EQ(run_stored(bad_list).code(), Code::kInvalidArgument);
  }
}

TEST(GraphEngineTest, AMissingWeightIsAnError) {
  const Fixture fixture({});
  const WeightLookup lookup = [](const Parameter& parameter) -> Result<WeightView> {
    return NotFound("no tensor " + parameter.name);
  };
  const auto engine = GraphEngine::Create(fixture.graph, lookup, {{-1, HookKind::kEmbed}}, {});
  EXPECT_EQ(engine.status().code(), Code::kNotFound);
}

TEST(GraphEngineTest, SaysWhatItIs) {
  const Fixture fixture({});
  const auto engine =
      fixture.Create({{1, HookKind::kResidPost}},
                     {.compute = CpuCompute::kF32, .threads = 2, .max_batch_tokens = 123});
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ((*engine)->info().name, "cpu");
  EXPECT_EQ((*engine)->info().compute, "f32");
  EXPECT_EQ((*engine)->info().max_batch_tokens, 123);
  EXPECT_TRUE((*engine)->info().device.starts_with("2 threads, "));
  if (!OneDnnHasAvx512()) {
    EXPECT_EQ(
        fixture.Create({{1, HookKind::kResidPost}}, {.compute = CpuCompute::kBf16}).status().code(),
        Code::kInvalidArgument);
  }
  const auto automatic = fixture.Create({{1, HookKind::kResidPost}}, {});
  ASSERT_TRUE(automatic.ok());
  EXPECT_EQ((*automatic)->info().compute, ProcessorHasBf16() && OneDnnHasAvx512() ? "bf16" : "f32");
}

TEST(GraphEngineTest, ChunksAreBounded) {
  EXPECT_EQ(ChunkRowsFor(1, 2), 32);
  EXPECT_EQ(ChunkRowsFor(32768, 2), 256);
  if (OneDnnHasAvx512()) {
    EXPECT_EQ(ChunkRowsFor(256, 2), 32);
    EXPECT_EQ(ChunkRowsFor(257, 2), 64);
    EXPECT_EQ(ChunkRowsFor(2048, 1), 256);
    EXPECT_EQ(ChunkRowsFor(2048, 16), 64);
    EXPECT_EQ(ChunkRowsFor(2048, 1000), 32);
  } else {
    EXPECT_EQ(ChunkRowsFor(2048, 1), 128);
    EXPECT_EQ(ChunkRowsFor(2048, 1000), 128);
  }
}

}  // namespace
}  // namespace thresher
