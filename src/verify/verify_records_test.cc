// Records that are edited, missing or misplaced.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "verify/verify_for_test.h"
#include "verify/verify_run.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Field;

TEST(VerifyRecordsTest, EveryEditOfACommitIsReported) {
  RunForTest run({});
  const std::string text = run.Text(CommitKey(1));
  for (size_t position = 0; position < text.size(); ++position) {
    std::string edited = text;
    edited[position] = edited[position] == '7' ? '8' : '7';
    run.Put(CommitKey(1), edited);
    const VerifyReport report = Verify(run);
    ASSERT_THAT(DamageOf(report), Contains(Field(&Finding::unit, std::optional<int64_t>(1))))
        << "byte " << position;
  }
  run.Put(CommitKey(1), text + " ");
  EXPECT_THAT(Verify(run).findings, Contains(IsAbout(1, "", "the text was edited")));
}

TEST(VerifyRecordsTest, ForgedCommitsAreReported) {
  const std::vector<std::pair<std::function<void(Commit&)>, std::string>> forgeries = {
      {[](Commit& c) { c.unit = 0; }, "is the commit of unit 0"},
      {[](Commit& c) { c.run_fingerprint = "xxh3-128:00"; }, "belongs to run xxh3-128:00"},
      {[](Commit& c) { c.epoch = 2; }, "names the shard"},
      {[](Commit& c) { c.session = "other"; }, "names the shard"},
      {[](Commit& c) { c.first_sample = 0; }, "holds samples 0 to 2, the plan says 3 to 5"},
      {[](Commit& c) { c.sample_count = 2; }, "holds samples 3 to 4"},
      {[](Commit& c) { c.sequence_count = 2; }, "3 samples, but 2 stored and 0 rejected"},
      {[](Commit& c) {
         c.rejected = {{0, "no reason"}};
       },
       "rejects sample 0"},
      {[](Commit& c) {
         c.rejected = {{4, ""}, {4, ""}};
       },
       "do not rise"},
      {[](Commit& c) { c.forward_token_count = 1; }, "1 tokens in 3 sequences"},
      {[](Commit& c) { c.token_count = 1; }, "stores the rows of 1 of 8 tokens, though"},
      {[](Commit& c) { c.forward_token_count = 9; }, "stores the rows of 8 of 9 tokens, though"},
      {[](Commit& c) { c.sequence_count = 4; }, "3 samples, but 4 stored and 0 rejected"},
      {[](Commit& c) { c.token_count = INT64_MAX; }, "do not make a shard of"},
      {[](Commit& c) { c.sequence_count = INT64_MAX; }, "do not make a shard of"},
      {[](Commit& c) { c.bytes = INT64_MAX; }, "do not make a shard of"},
      {[](Commit& c) { c.truncated_count = 4; }, "4 of 3 samples were truncated"},
      {[](Commit& c) { c.tensors.pop_back(); }, "has no checksum of it"},
      {[](Commit& c) {
         c.tensors.push_back({"x", "y"});
       },
       "the run does not store it"},
      {[](Commit& c) { c.statistics.pop_back(); }, "no statistics of hook point"},
      {[](Commit& c) { c.statistics[0].statistics.count += 8; }, "values a token"},
      {[](Commit& c) { c.statistics[0].statistics.count += 1; }, "no whole number"},
      {[](Commit& c) { c.statistics[0].statistics.sum += 1e-3; }, "statistics: found"},
      {[](Commit& c) { c.statistics[0].statistics.sum_squares *= 1.001; }, "statistics: found"},
      {[](Commit& c) { c.statistics[1].statistics.max_abs = 9; }, "statistics: found"},
      {[](Commit& c) { c.statistics[1].statistics.not_finite = 1; }, "statistics: found"},
      {[](Commit& c) { c.checksum = "crc32c:00000000"; }, "checksum of the whole shard"},
      {[](Commit& c) { c.header_checksum = "crc32c:00000000"; }, "crc32c:00000000"},
  };
  for (const auto& [change, text] : forgeries) {
    RunForTest run({});
    run.ForgeCommit(1, change);
    const VerifyReport report = Verify(run);
    EXPECT_THAT(DamageOf(report),
                Contains(AllOf(Field(&Finding::unit, std::optional<int64_t>(1)), Says(text))))
        << text << "\n"
        << Lines(report);
  }
}

TEST(VerifyRecordsTest, ACommitUnderAnotherNameIsReportedAndSoIsItsShard) {
  RunForTest run({});
  run.Put(CommitKey(1), run.Text(CommitKey(0)));
  const VerifyReport report = Verify(run);
  EXPECT_THAT(report.findings, Contains(IsAbout(1, "", "is the commit of unit 0")));
  EXPECT_FALSE(report.ok());
}

TEST(VerifyRecordsTest, TwoCommitsOfOneShardAreReported) {
  RunForTest run({});
  run.ForgeCommit(1, [&](Commit& commit) { commit.shard = run.ShardKeyOf(0); });
  EXPECT_THAT(Verify(run).findings, Contains(IsAbout(1, "", "the same shard as unit 0")));
}

TEST(VerifyRecordsTest, AUnitWithoutCommitMakesTheRunIncomplete) {
  RunForTest run({});
  run.Delete(CommitKey(1));
  run.Delete(std::string(kManifestKey));
  const VerifyReport report = Verify(run);
  EXPECT_EQ(report.damage_count, 0) << Lines(report);
  EXPECT_EQ(report.incomplete_count, 1);
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(report.findings, Contains(IsAbout(1, "", "neither committed nor set aside")));
  EXPECT_THAT(report.findings, Contains(Says("1 shards that no commit refers to")));
}

TEST(VerifyRecordsTest, AUnitThatWasSetAsideIsListedAndNoDamage) {
  RunForTest run({});
  run.Delete(run.ShardKeyOf(1));
  run.Delete(CommitKey(1));
  const Quarantine quarantine{
      .unit = 1, .first_sample = 3, .sample_count = 3, .errors = {"it burns"}};
  run.Put(QuarantineKey(1), quarantine.ToText());
  ASSERT_TRUE(WriteManifest(run.store(), run.run()).ok());
  const VerifyReport report = Verify(run);
  EXPECT_TRUE(report.ok()) << Lines(report);
  EXPECT_EQ(report.quarantined_count, 1);
  EXPECT_THAT(report.findings, Contains(IsAbout(1, "", "it burns")));
}

TEST(VerifyRecordsTest, NamesThatFitNoUnitAreReported) {
  RunForTest run({});
  run.Put("commits/unit-000099.json", run.Text(CommitKey(1)));
  run.Put("commits/unit-1.json", run.Text(CommitKey(1)));
  const VerifyReport report = Verify(run);
  EXPECT_THAT(report.findings, Contains(IsAbout(99, "", "the plan has only units 0 to 1")));
  EXPECT_THAT(report.findings, Contains(Says("commits/unit-1.json: not the name")));
}

TEST(VerifyRecordsTest, AManifestThatDoesNotFitIsReported) {
  RunForTest run({});
  const std::string text = run.Text(std::string(kManifestKey));
  run.Put(std::string(kManifestKey), text + "\n");
  EXPECT_THAT(Verify(run).findings, Contains(Says("manifest.json is not what the commits give")));
  run.Put(std::string(kManifestKey), text);
  run.Delete(CommitKey(0));
  EXPECT_THAT(Verify(run).findings, Contains(Says("manifest.json is there, though")));
}

TEST(VerifyRecordsTest, ASummaryThatDoesNotFitIsReported) {
  RunForTest run({});
  const std::string text = run.Text(std::string(kSummaryKey));
  EXPECT_TRUE(Verify(run).ok());
  // What it took is no business of the commits.
  std::string edited = text;
  edited.replace(edited.find("\"machine_hours\": 0.0"), 20, "\"machine_hours\": 1.5");
  run.Put(std::string(kSummaryKey), edited);
  EXPECT_TRUE(Verify(run).ok());
  edited = text;
  const size_t count = edited.find("\"count\": ") + 9;
  edited[count] = edited[count] == '9' ? '8' : '9';
  run.Put(std::string(kSummaryKey), edited);
  EXPECT_THAT(Verify(run).findings, Contains(Says("summary.json is not what the commits give")));
  run.Put(std::string(kSummaryKey), R"({"run": 5, "content": 6})");
  EXPECT_THAT(Verify(run).findings, Contains(Says("summary.json is not what the commits give")));
  run.Put(std::string(kSummaryKey), "[]");
  EXPECT_THAT(Verify(run).findings, Contains(Says("summary.json: ")));
  run.Delete(std::string(kSummaryKey));
  EXPECT_TRUE(Verify(run).ok()) << "runs of earlier versions have none";
}

TEST(VerifyRecordsTest, AnEditedRunOrPlanIsReported) {
  RunForTest run({});
  const std::string spec = run.Text(std::string(kRunKey));
  std::string edited = spec;
  edited.replace(edited.find("\"bf16\""), 6, "\"f16\"");
  run.Put(std::string(kRunKey), edited);
  EXPECT_THAT(DamageOf(Verify(run)), Contains(Says("run_fingerprint")));
  run.Put(std::string(kRunKey), spec);

  const std::string plan_key = PlanKey(run.run().fingerprint);
  run.Put(plan_key, R"({"format_version":1,"boundaries":[0,2,6]})");
  EXPECT_THAT(DamageOf(Verify(run)), Contains(IsAbout(0, "", "the plan says 0 to 1")));
  run.Delete(plan_key);
  EXPECT_THAT(DamageOf(Verify(run)), Contains(Says("nothing else could be checked")));
}

TEST(VerifyRecordsTest, LeftoversAreCountedAndNoDamage) {
  RunForTest run({});
  run.Put(ShardKey(7, 0, 1, "dead"), "half a shard");
  run.Put(HandoverKey(0, 1), "{}");
  run.Put(HandoverShardKey(0, 1), "rows");
  const VerifyReport report = Verify(run);
  EXPECT_TRUE(report.ok()) << Lines(report);
  EXPECT_THAT(report.findings,
              Contains(Says("1 shards that no commit refers to and 2 handovers of finished")));
}

}  // namespace
}  // namespace thresher
