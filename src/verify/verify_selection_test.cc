// Runs of which only some rows are stored, or whose samples are split.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "verify/verify_for_test.h"
#include "verify/verify_run.h"

namespace thresher {
namespace {

using testing::Contains;
using testing::SizeIs;

// Samples of 6, 1, 9 and 3 tokens in sequences of at most 4.
RunForTest::Options SelectedRows(const std::string& tokens) {
  RunForTest::Options options;
  options.inputs_can_be_found = true;
  options.records = {R"({"id":"a","token_ids":[1,2,3,4,5,6]})", R"({"id":"b","token_ids":[7]})",
                     R"({"id":"c","token_ids":[1,2,3,4,5,6,7,8,9]})", R"({"id":"bad"})",
                     R"({"id":"d","token_ids":[3,2,1]})"};
  options.settings = {.max_tokens = 4, .overlong = "split", .overlap = 1, .tokens = tokens};
  return options;
}

TEST(VerifySelectionTest, AWholeRunHasNoDamage) {
  for (const char* tokens : {"all", "last", "every:2", "every:3", "fraction:0.3", "fraction:0.7"}) {
    for (const DType dtype : {DType::kBf16, DType::kI8}) {
      RunForTest::Options options = SelectedRows(tokens);
      options.dtype = dtype;
      RunForTest run(options);
      const VerifyReport report = Verify(run, 1.0);
      EXPECT_TRUE(report.ok()) << tokens << "\n" << Lines(report);
      EXPECT_THAT(report.findings, SizeIs(1)) << tokens << "\n" << Lines(report);
      EXPECT_EQ(report.stored_samples, 4);
      EXPECT_EQ(report.rejected_samples, 1);
      EXPECT_TRUE(report.rows_were_identified);
      EXPECT_GT(report.recomputed.comparisons, 0);
      EXPECT_EQ(report.recomputed.identical, report.recomputed.comparisons);
    }
  }
}

TEST(VerifySelectionTest, EverySequenceWithARowIsComputedAsAWhole) {
  RunForTest run(SelectedRows("last"));
  EXPECT_EQ(run.CommitOf(0).sequence_count, 6);
  EXPECT_EQ(run.CommitOf(0).token_count, 6);
  const VerifyReport report = Verify(run, 1.0);
  EXPECT_EQ(report.tokens, 7);
  EXPECT_EQ(report.recomputed.sequences, 7);
  // With an overlap of one: 4 + 3, 1, 4 + 4 + 3, and 3.
  EXPECT_EQ(report.recomputed.tokens, 22);
}

TEST(VerifySelectionTest, WithoutTheDataSetSelectedRowsAreNotComputedAgain) {
  RunForTest run(SelectedRows("every:2"));
  std::filesystem::remove(run.dataset_path());
  const VerifyReport report = Verify(run, 1.0);
  EXPECT_TRUE(report.ok()) << Lines(report);
  EXPECT_EQ(report.recomputed.sequences, 0);
  EXPECT_THAT(report.findings, Contains(Says("only selected rows are stored")));
  RunForTest all(SelectedRows("all"));
  std::filesystem::remove(all.dataset_path());
  EXPECT_EQ(Verify(all, 1.0).recomputed.sequences, 7) << "the shards have every token id";
}

TEST(VerifySelectionTest, DamageIsReported) {
  struct Forgery {
    std::function<void(RunForTest&)> change;
    std::string tensor;
    std::string what;
  };
  // Unit 0: sequences of samples 0, 0, 1, 2, 2, 2 with positions 0 2, 0 2, 0, 0 2, 0 2, 0 2.
  const std::vector<Forgery> forgeries = {
      {[](RunForTest& run) { run.ForgeElement<int32_t>(0, "positions", 1, 0); }, "positions",
       "row 1 of sequence 0 has position 0, expected at least 1"},
      {[](RunForTest& run) { run.ForgeElement<int32_t>(0, "positions", 0, -1); }, "positions",
       "expected at least 0"},
      {[](RunForTest& run) { run.ForgeElement<int32_t>(0, "positions", 1, 3); }, "positions",
       "1 samples are stored at other positions than the data set and the settings give: 0"},
      {[](RunForTest& run) { run.ForgeElement<int32_t>(0, "positions", 1, 1000); }, "positions",
       "1 samples are stored at other positions"},
      {[](RunForTest& run) { run.ForgeElement<int32_t>(0, "token_ids", 1, 9); }, "token_ids",
       "1 samples have other token ids than the data set gives: 0"},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(0, "sequence_offsets", 1, 1); }, "positions",
       "expected at least 3"},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(0, "sample_index", 1, 1); }, "sample_index",
       "2 samples have another number of sequences than the data set gives: 0, 1"},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(0, "sample_index", 2, 2); }, "sample_index",
       "1 samples are neither stored nor rejected: 1"},
      {[](RunForTest& run) { run.ForgeElement<int64_t>(0, "sample_index", 0, 1); }, "sample_index",
       "does not rise"},
      {[](RunForTest& run) {
         run.ForgeCommit(0, [](Commit& commit) { commit.forward_token_count = 5; });
       },
       "", "5 tokens in 6 sequences"},
      {[](RunForTest& run) {
         run.ForgeCommit(0, [](Commit& commit) { commit.forward_token_count = 10; });
       },
       "", "stores the rows of 11 of 10 tokens"},
  };
  for (const Forgery& forgery : forgeries) {
    RunForTest run(SelectedRows("every:2"));
    forgery.change(run);
    const VerifyReport report = Verify(run, 1.0);
    EXPECT_THAT(DamageOf(report), Contains(IsAbout(0, forgery.tensor, forgery.what)))
        << forgery.what << "\n"
        << Lines(report);
  }
}

// Rows of another token, or of the same token behind others, are found by computing them again.
TEST(VerifySelectionTest, ARowOfAnotherTokenIsFound) {
  RunForTest run(SelectedRows("every:2"));
  run.ForgeShard(0, [&](std::string& file) {
    const SafetensorsHeader header = run.HeaderOf(file);
    const TensorEntry* entry = header.Find("blocks.0.hook_resid_post");
    const auto row_bytes = static_cast<size_t>((entry->end - entry->begin) / entry->shape[0]);
    std::memcpy(file.data() + entry->begin + row_bytes, file.data() + entry->begin + 3 * row_bytes,
                row_bytes);
  });
  EXPECT_THAT(DamageOf(Verify(run, 1.0)),
              Contains(IsAbout(0, "blocks.0.hook_resid_post", "computed again, sample 0 differs")));
}

}  // namespace
}  // namespace thresher
