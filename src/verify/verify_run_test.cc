#include "verify/verify_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/cpu/cpu_engine.h"
#include "verify/run_for_test.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

VerifyReport Verify(RunForTest& run, double recompute_fraction = 0) {
  VerifyOptions options;
  options.recompute_fraction = recompute_fraction;
  options.threads = 1;
  options.create_engine = [&](const Model&, const std::vector<HookPoint>&) {
    return Result<std::unique_ptr<Engine>>(
        std::make_unique<MadeUpEngine>(run.format().hooks, DType::kF32));
  };
  Result<VerifyReport> report = VerifyRun(run.store(), options);
  EXPECT_TRUE(report.ok()) << report.status().message();
  return report.ok() ? *std::move(report) : VerifyReport();
}

std::vector<Finding> DamageOf(const VerifyReport& report) {
  std::vector<Finding> damage;
  for (const Finding& finding : report.findings) {
    if (finding.severity == Severity::kDamage) damage.push_back(finding);
  }
  return damage;
}

auto IsAbout(int64_t unit, const std::string& tensor) {
  return AllOf(Field(&Finding::unit, std::optional<int64_t>(unit)),
               Field(&Finding::tensor, tensor));
}
auto IsAbout(int64_t unit, const std::string& tensor, const std::string& text) {
  return AllOf(IsAbout(unit, tensor), Field(&Finding::what, HasSubstr(text)));
}
auto Says(const std::string& text) { return Field(&Finding::what, HasSubstr(text)); }

std::string Lines(const VerifyReport& report) {
  std::string lines;
  for (const Finding& finding : report.findings) lines += FindingLine(finding) + "\n";
  return lines;
}

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

// --- selected rows and split samples ---

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

// --- damaged bytes ---

// The tensor that holds each byte of the file.
std::vector<std::string> OwnersOfBytes(RunForTest& run, const std::string& file) {
  const SafetensorsHeader header = run.HeaderOf(file);
  std::vector<std::string> owners(static_cast<size_t>(header.data_begin), "header");
  for (const TensorEntry& entry : header.tensors) {
    owners.insert(owners.end(), static_cast<size_t>(entry.end - entry.begin), entry.name);
  }
  EXPECT_EQ(owners.size(), file.size());
  return owners;
}

TEST(VerifyDamageTest, EveryFlippedByteIsReportedWithUnitAndTensor) {
  for (const DType dtype : {DType::kBf16, DType::kI8}) {
    RunForTest run({.dtype = dtype});
    for (int64_t unit = 0; unit < 2; ++unit) {
      const std::string key = run.ShardKeyOf(unit);
      const std::string file = run.Text(key);
      const std::vector<std::string> owners = OwnersOfBytes(run, file);
      for (size_t position = 0; position < file.size(); ++position) {
        std::string damaged = file;
        damaged[position] = static_cast<char>(damaged[position] ^ (1 << (position % 8)));
        run.Put(key, damaged);
        const VerifyReport report = Verify(run);
        ASSERT_THAT(DamageOf(report), Contains(IsAbout(unit, owners[position])))
            << "byte " << position << "\n"
            << Lines(report);
        // A byte of a tensor is nobody else's fault.
        if (owners[position] != "header") {
          ASSERT_THAT(DamageOf(report), Each(IsAbout(unit, owners[position]))) << Lines(report);
        } else {
          ASSERT_THAT(DamageOf(report), Each(Field(&Finding::unit, std::optional(unit))));
        }
      }
      run.Put(key, file);
    }
    EXPECT_TRUE(Verify(run).ok());
  }
}

TEST(VerifyDamageTest, DamageInTwoPlacesIsReportedTwice) {
  RunForTest run({});
  for (int64_t unit = 0; unit < 2; ++unit) {
    std::string file = run.Text(run.ShardKeyOf(unit));
    for (const char* tensor : {"token_ids", "blocks.0.hook_resid_post"}) {
      file[static_cast<size_t>(run.HeaderOf(file).Find(tensor)->begin)] ^= 1;
    }
    run.Put(run.ShardKeyOf(unit), file);
  }
  const VerifyReport report = Verify(run);
  EXPECT_EQ(report.damage_count, 4) << Lines(report);
  for (int64_t unit = 0; unit < 2; ++unit) {
    EXPECT_THAT(report.findings, Contains(IsAbout(unit, "token_ids", "checksum")));
    EXPECT_THAT(report.findings, Contains(IsAbout(unit, "blocks.0.hook_resid_post", "checksum")));
  }
}

TEST(VerifyDamageTest, ADeletedShardIsReported) {
  RunForTest run({});
  run.Delete(run.ShardKeyOf(1));
  const VerifyReport report = Verify(run);
  EXPECT_EQ(report.damage_count, 1) << Lines(report);
  EXPECT_THAT(report.findings, Contains(IsAbout(1, "", "does not exist")));
}

TEST(VerifyDamageTest, EveryTruncationNamesTheTensorsThatAreCutOff) {
  RunForTest run({});
  const std::string key = run.ShardKeyOf(0);
  const std::string file = run.Text(key);
  const SafetensorsHeader header = run.HeaderOf(file);
  for (size_t bytes = 0; bytes < file.size(); ++bytes) {
    run.Put(key, file.substr(0, bytes));
    const VerifyReport report = Verify(run);
    ASSERT_THAT(report.findings, Contains(IsAbout(0, "", "it was cut off")));
    for (const TensorEntry& entry : header.tensors) {
      if (static_cast<size_t>(entry.end) <= bytes) continue;
      ASSERT_THAT(report.findings, Contains(IsAbout(0, entry.name, "cut off"))) << bytes;
    }
  }
}

TEST(VerifyDamageTest, BytesBehindTheEndAreReported) {
  RunForTest run({});
  run.Put(run.ShardKeyOf(0), run.Text(run.ShardKeyOf(0)) + "x");
  EXPECT_THAT(Verify(run).findings, Contains(IsAbout(0, "", "bytes, its commit says")));
}

TEST(VerifyDamageTest, SwappedShardsAreReportedForBothUnits) {
  RunForTest run({});
  const std::string first = run.Text(run.ShardKeyOf(0));
  const std::string second = run.Text(run.ShardKeyOf(1));
  run.Put(run.ShardKeyOf(0), second);
  run.Put(run.ShardKeyOf(1), first);
  const VerifyReport report = Verify(run);
  for (int64_t unit = 0; unit < 2; ++unit) {
    EXPECT_THAT(report.findings, Contains(IsAbout(unit, "header", "checksum")));
    EXPECT_THAT(report.findings, Contains(IsAbout(unit, "token_ids")));
  }
}

TEST(VerifyDamageTest, SwappedShardsOfEqualSizeAreNamedByTheirHeader) {
  RunForTest run(
      {.records = {R"({"token_ids":[1,2]})", R"({"token_ids":[3,4]})"}, .samples_per_unit = 1});
  const std::string first = run.Text(run.ShardKeyOf(0));
  run.Put(run.ShardKeyOf(0), run.Text(run.ShardKeyOf(1)));
  run.Put(run.ShardKeyOf(1), first);
  const VerifyReport report = Verify(run);
  EXPECT_THAT(report.findings,
              Contains(IsAbout(0, "header", "metadata 'unit': expected 0, found 1")));
  EXPECT_THAT(report.findings,
              Contains(IsAbout(1, "header", "metadata 'unit': expected 1, found 0")));
}

// --- records ---

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

// --- shards that fit their checksums and are wrong all the same ---

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
