// Shards that fit their checksums and are wrong all the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/cpu/cpu_engine.h"
#include "verify/verify_for_test.h"
#include "verify/verify_run.h"

namespace thresher {
namespace {

using testing::Contains;

TEST(VerifyContentTest, WrongIndexTensorsAreReported) {
  const std::vector<std::pair<std::function<void(RunForTest&)>, Finding>> forgeries = {
      {[](RunForTest& run) { run.ForgeElement<int64_t>(1, "sample_index", 0, 0); },
       {Severity::kDamage, 1, "sample_index", "outside the unit's samples 3 to 5"}},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(1, "sample_index", 1, 3); },
       {Severity::kDamage, 1, "sample_index", "does not rise"}},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(1, "sequence_offsets", 0, 1); },
       {Severity::kDamage, 1, "sequence_offsets", "begins with 1"}},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(1, "sequence_offsets", 1, 0); },
       {Severity::kDamage, 1, "sequence_offsets", "does not rise"}},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(1, "sequence_offsets", 3, 7); },
       {Severity::kDamage, 1, "sequence_offsets", "ends with 7"}},
      {[](RunForTest& run) { run.ForgeElement<int32_t>(1, "positions", 2, 2); },
       {Severity::kDamage, 1, "positions", "has position 2, expected 0"}},
      {[](RunForTest& run) { run.ForgeElement<int32_t>(1, "token_ids", 2, -1); },
       {Severity::kDamage, 1, "token_ids", "has the token id -1"}},
      // Sample 2 of unit 0 was rejected; claiming it is a second mention, and 1 is gone.
      {[](RunForTest& run) { run.ForgeElement<int64_t>(0, "sample_index", 1, 2); },
       {Severity::kDamage, 0, "sample_index", "neither stored nor rejected: 1"}},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(0, "sample_index", 1, 2); },
       {Severity::kDamage, 0, "sample_index", "more than once: 2"}},
  };
  for (const auto& [forge, expected] : forgeries) {
    RunForTest run({});
    forge(run);
    const VerifyReport report = Verify(run);
    EXPECT_THAT(DamageOf(report), Contains(IsAbout(*expected.unit, expected.tensor, expected.what)))
        << Lines(report);
  }
}

TEST(VerifyContentTest, AHeaderOfAnotherRunIsReported) {
  RunForTest run({});
  run.ForgeShard(0, [&](std::string& file) {
    const size_t position = file.find(run.run().fingerprint) + run.run().fingerprint.size() - 1;
    file[position] = file[position] == '0' ? '1' : '0';
  });
  EXPECT_THAT(Verify(run).findings, Contains(IsAbout(0, "header", "metadata 'run'")));
}

TEST(VerifyContentTest, ValuesThatAreNotFiniteAreAWarning) {
  RunForTest run({.dtype = DType::kF32});
  run.ForgeElement<float>(0, "blocks.0.hook_resid_post", 5, NAN);
  // The statistics of the commit say that all are finite.
  EXPECT_THAT(DamageOf(Verify(run)),
              Contains(IsAbout(0, "blocks.0.hook_resid_post", "not finite")));
  const std::string file = run.Text(run.ShardKeyOf(0));
  const SafetensorsHeader header = run.HeaderOf(file);
  const TensorEntry* entry = header.Find("blocks.0.hook_resid_post");
  run.ForgeCommit(0, [&](Commit& commit) {
    commit.statistics[0].statistics =
        ComputeStatistics(AsBytes(file).data() + entry->begin, nullptr, entry->shape[0],
                          entry->shape[1], DType::kF32);
  });
  EXPECT_THAT(Verify(run).findings, Contains(Says("summary.json is not what the commits give")));
  ASSERT_TRUE(WriteManifest(run.store(), run.run()).ok());
  const VerifyReport report = Verify(run);
  EXPECT_TRUE(report.ok()) << Lines(report);
  EXPECT_EQ(report.warning_count, 1);
}

TEST(VerifyContentTest, RowsOfOtherTokensThanTheDataSetsAreReported) {
  RunForTest run({.inputs_can_be_found = true});
  run.ForgeElement<int32_t>(1, "token_ids", 3, 77);
  const VerifyReport report = Verify(run);
  EXPECT_THAT(DamageOf(report), Contains(IsAbout(1, "token_ids",
                                                 "1 samples have other token ids than the data set "
                                                 "gives: 4")));
}

TEST(VerifyContentTest, KeysRejectionsAndTruncationsAreComparedWithTheDataSet) {
  RunForTest run({.inputs_can_be_found = true});
  run.ForgeShard(1, [](std::string& file) { file[file.find("\\\"d\\\"") + 2] = 'x'; });
  run.ForgeCommit(1, [](Commit& commit) { commit.truncated_count = 1; });
  const VerifyReport report = Verify(run);
  EXPECT_THAT(DamageOf(report), Contains(IsAbout(1, "header", "1 samples have other keys")));
  EXPECT_THAT(DamageOf(report), Contains(IsAbout(1, "", "0 samples are truncated")));
}

TEST(VerifyContentTest, RowsThatAreComputedOtherwiseAreReported) {
  for (const DType dtype : {DType::kF32, DType::kBf16, DType::kF16, DType::kF8E4M3, DType::kI8}) {
    RunForTest run({.dtype = dtype, .inputs_can_be_found = true});
    const Commit commit = run.CommitOf(1);
    const int64_t rows = commit.token_count;
    // The rows of two tokens of sample 4 change places; the statistics stay the same.
    run.ForgeShard(1, [&](std::string& file) {
      const SafetensorsHeader header = run.HeaderOf(file);
      for (const char* name : {"blocks.1.attn.hook_k", "blocks.1.attn.hook_k.scale"}) {
        const TensorEntry* entry = header.Find(name);
        if (entry == nullptr) continue;
        const auto row_bytes = static_cast<ptrdiff_t>((entry->end - entry->begin) / rows);
        const auto begin = file.begin() + entry->begin;
        std::swap_ranges(begin + 3 * row_bytes, begin + 4 * row_bytes, begin + 4 * row_bytes);
      }
    });
    const VerifyReport report = Verify(run, 1.0);
    EXPECT_EQ(report.damage_count, 1) << DTypeName(dtype) << "\n" << Lines(report);
    EXPECT_THAT(DamageOf(report),
                Contains(IsAbout(1, "blocks.1.attn.hook_k", "computed again, sample 4 differs")));
    EXPECT_GT(report.recomputed.worst_of_limit, 1);
  }
}

TEST(VerifyContentTest, TheCpuEngineAgreesWithItself) {
  const std::vector<std::string> hooks = {"blocks.0.hook_resid_pre", "blocks.0.attn.hook_z",
                                          "blocks.1.mlp.hook_post", "blocks.1.hook_resid_post"};
  for (const DType dtype : {DType::kF32, DType::kBf16, DType::kI8}) {
    RunForTest run({.dtype = dtype,
                    .hooks = hooks,
                    .inputs_can_be_found = true,
                    .engine = [&](const Model& model, const std::vector<HookPoint>& points) {
                      Result<std::unique_ptr<Engine>> engine = CreateCpuEngine(
                          model, points, {.compute = CpuCompute::kF32, .stored_dtype = dtype});
                      THRESHER_CHECK(engine.ok());
                      return *std::move(engine);
                    }});
    VerifyOptions options;
    options.recompute_fraction = 0.01;  // at least one
    const Result<VerifyReport> one = VerifyRun(run.store(), options);
    ASSERT_TRUE(one.ok()) << one.status().message();
    EXPECT_TRUE(one->ok()) << Lines(*one);
    EXPECT_EQ(one->recomputed.sequences, 1);
    options.recompute_fraction = 1;
    const Result<VerifyReport> all = VerifyRun(run.store(), options);
    ASSERT_TRUE(all.ok());
    EXPECT_TRUE(all->ok()) << Lines(*all);
    EXPECT_EQ(all->recomputed.sequences, 5);
  }
}

}  // namespace
}  // namespace thresher
