#include "verify/verify_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "verify/verify_for_test.h"

namespace thresher {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

TEST(VerifyRunTest, AWholeRunHasNoDamage) {
  for (const DType dtype : {DType::kF32, DType::kBf16, DType::kF16, DType::kF8E4M3, DType::kI8}) {
    RunForTest run({.dtype = dtype, .inputs_can_be_found = true});
    const VerifyReport report = Verify(run, 1.0);
    EXPECT_TRUE(report.ok()) << DTypeName(dtype) << "\n" << Lines(report);
    EXPECT_EQ(report.unit_count, 2);
    EXPECT_EQ(report.committed_count, 2);
    EXPECT_EQ(report.sample_count, 6);
    EXPECT_EQ(report.stored_samples, 5);
    EXPECT_EQ(report.rejected_samples, 1);
    EXPECT_EQ(report.tokens, 12);
    EXPECT_TRUE(report.rows_were_identified);
    EXPECT_EQ(report.recomputed.sequences, 5);
    EXPECT_EQ(report.recomputed.tokens, 12);
    EXPECT_EQ(report.recomputed.comparisons, 10);
    EXPECT_EQ(report.recomputed.identical, 10);
    // The rejected sample is listed, with its reason.
    EXPECT_THAT(report.findings, Contains(IsAbout(0, "", "sample 2 was rejected: ")));
    EXPECT_THAT(report.findings, SizeIs(1)) << Lines(report);
  }
}

TEST(VerifyRunTest, NoRunIsAnErrorAndNotAFinding) {
  MemoryStore store;
  const Result<VerifyReport> report = VerifyRun(store, {});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.status().code(), Code::kNotFound);
}

TEST(VerifyRunTest, WhatCannotBeFoundIsSkippedWithANote) {
  RunForTest run({});
  const VerifyReport report = Verify(run, 1.0);
  EXPECT_TRUE(report.ok());
  EXPECT_FALSE(report.rows_were_identified);
  EXPECT_EQ(report.recomputed.sequences, 0);
  EXPECT_THAT(report.findings, Contains(Says("rows were not compared with the data set")));
  EXPECT_THAT(report.findings, Contains(Says("nothing was computed again")));
}

TEST(VerifyRunTest, WhatIsNamedMustFit) {
  RunForTest run({});
  VerifyOptions options;
  const TemporaryFolder folder;
  options.dataset_path = folder.path() + "/other.jsonl";
  {
    std::ofstream out(options.dataset_path);
    for (int i = 0; i < 6; ++i)
      out << R"({"token_ids":[1]})"
          << "\n";
  }
  const Result<VerifyReport> without_model = VerifyRun(run.store(), options);
  ASSERT_FALSE(without_model.ok());
  EXPECT_THAT(without_model.status().message(), HasSubstr("takes the model, too"));
  options.model_directory = RunForTest::model_path();
  const Result<VerifyReport> other_dataset = VerifyRun(run.store(), options);
  ASSERT_FALSE(other_dataset.ok());
  EXPECT_THAT(other_dataset.status().message(), HasSubstr("the data set's first"));
  options.dataset_path = run.dataset_path();
  options.model_directory = TestDataPath("golden/llama");
  const Result<VerifyReport> other_model = VerifyRun(run.store(), options);
  ASSERT_FALSE(other_model.ok());
  EXPECT_THAT(other_model.status().message(), HasSubstr("configuration has fingerprint"));
}

}  // namespace
}  // namespace thresher
