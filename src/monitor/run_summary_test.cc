#include "monitor/run_summary.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace thresher
