#include "extract/run_summary.h"

#include <gtest/gtest.h>

#include "extract/small_run_for_test.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

// More units than are read in one round.
constexpr int64_t kUnits = 1500;

TEST(RunSummaryTest, AddsUpEveryCommitInTheOrderOfUnits) {
  MemoryStore store;
  RunSpec spec;
  spec.dataset.sample_count = kUnits;
  spec.capture.hooks = {"b", "a"};
  const std::vector<int64_t> estimates(kUnits, 1);
  const thresher::Run run{spec, spec.Fingerprint(), Plan::Balanced(estimates, 1)};
  TensorStatistics expected;
  for (int64_t unit = 0; unit < kUnits; ++unit) {
    Commit commit;
    commit.unit = unit;
    commit.epoch = 1;
    commit.sample_count = 1;
    commit.sequence_count = 1;
    commit.token_count = 2;
    commit.forward_token_count = 5;
    commit.bytes = 10;
    const auto value = static_cast<double>(unit);
    commit.statistics = {{"a", {.count = 4, .sum = value, .max_abs = value}},
                         {"b", {.count = 6}},
                         {"unknown", {.count = 100}}};
    const bool is_readable = unit != 7;
    const std::string text = is_readable ? commit.ToText() : "broken";
    ASSERT_TRUE(store.Put(CommitKey(unit), AsBytes(text)).ok());
    if (is_readable) expected.Merge(commit.statistics[0].statistics);
  }
  const Result<RunSummary> summary = SummariseRun(store, run);
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  EXPECT_EQ(summary->committed_count, kUnits - 1);
  EXPECT_EQ(summary->tokens, 2 * (kUnits - 1));
  EXPECT_EQ(summary->forward_tokens, 5 * (kUnits - 1));
  EXPECT_EQ(summary->bytes, 10 * (kUnits - 1));
  EXPECT_EQ(summary->unreadable.size(), 1U);
  ASSERT_EQ(summary->statistics.size(), 2U);
  EXPECT_EQ(summary->statistics[0].name, "b");
  EXPECT_EQ(summary->statistics[0].statistics.count, 6 * (kUnits - 1));
  EXPECT_EQ(summary->statistics[1].statistics.count, expected.count);
  EXPECT_EQ(summary->statistics[1].statistics.sum, expected.sum);
  EXPECT_EQ(summary->statistics[1].statistics.max_abs, kUnits - 1);
  ASSERT_EQ(summary->first_commits.size(), kListedCommits);
  EXPECT_EQ(summary->first_commits[1].unit, 1);
}

TEST(RunSummaryTest, ReasonsAreCountedByKind) {
  EXPECT_EQ(KindOfReason("d.jsonl:17: field 'input': expected at most 20 bytes, found 31"),
            "field 'input': expected at most N bytes");
  EXPECT_EQ(KindOfReason("d.parquet: row 3: expected text"), "row N: expected text");
  EXPECT_EQ(KindOfReason("d.jsonl:1: expected a or b; found 'c'"), "expected a or b");
  EXPECT_EQ(KindOfReason("no place"), "no place");
  EXPECT_EQ(KindOfReason(""), "");
}

TEST(RunSummaryTest, RejectionsAreBounded) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(2), SmallParts());
  RunSummaryBuilder builder(*run);
  Commit commit;
  commit.sample_count = 1'000;
  for (int64_t i = 0; i < 1'000; ++i) {
    // 200 kinds, told apart by letters.
    const std::string kind(1, static_cast<char>('a' + i % 20));
    const std::string sort(1, static_cast<char>('a' + i / 20 % 10));
    commit.rejected.push_back({i, "d.jsonl:" + std::to_string(i) + ": " + kind + sort});
  }
  builder.Add(commit);
  const RunSummary summary = builder.Finish();
  EXPECT_EQ(summary.samples_rejected, 1'000);
  ASSERT_EQ(summary.first_rejected.size(), kSummaryRejections);
  EXPECT_EQ(summary.first_rejected.back().sample, 99);
  ASSERT_EQ(summary.rejection_kinds.size(), kMaxRejectionKinds + 1);
  EXPECT_EQ(summary.rejection_kinds[0].reason, "other reasons");
  EXPECT_EQ(summary.rejection_kinds[0].count, 500);
  EXPECT_EQ(summary.rejection_kinds[1].count, 5);
}

}  // namespace
}  // namespace thresher
