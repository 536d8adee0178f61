#include "merge/merge_runs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "extract/run_store.h"
#include "extract/run_summary.h"
#include "extract/small_run_for_test.h"
#include "shard/merged_statistics.h"
#include "shard/safetensors.h"
#include "store/fault_store.h"
#include "store/memory_store.h"
#include "verify/run_for_test.h"
#include "verify/verify_run.h"
#include "work/keys.h"

namespace thresher {
namespace {

using testing::HasSubstr;

// Samples WORD0, WORD1, ... of one to four tokens each.
std::vector<std::string> Records(const std::string& word, int count) {
  std::vector<std::string> records;
  for (int i = 0; i < count; ++i) {
    std::string ids = std::to_string(word[0] - 'a');
    for (int j = 0; j < i % 4; ++j) ids += ", " + std::to_string(i + j);
    records.push_back(fmt::format(R"({{"id": "{}{}", "token_ids": [{}]}})", word, i, ids));
  }
  return records;
}

RunForTest::Options PartOptions(std::vector<std::string> records) {
  RunForTest::Options options;
  options.records = std::move(records);
  return options;
}

Result<MergeReport> Merge(const std::vector<RunForTest*>& parts, Store& output,
                          const MergeOptions& options = {}) {
  std::vector<MergeSource> sources;
  for (size_t i = 0; i < parts.size(); ++i) {
    sources.push_back({"part-" + std::to_string(i), &parts[i]->store()});
  }
  static SleepClock clock;
  return MergeRuns(sources, output, clock, options);
}

std::vector<std::pair<std::string, std::string>> ContentOf(Store& store) {
  std::vector<std::pair<std::string, std::string>> content;
  const std::vector<ObjectInfo> objects = ListAll(store, "").value();
  content.reserve(objects.size());
  for (const ObjectInfo& object : objects) {
    content.emplace_back(object.key, store.GetText(object.key).value());
  }
  return content;
}

VerifyReport Verify(Store& store) {
  VerifyOptions options;
  options.recompute_fraction = 0;
  options.threads = 1;
  Result<VerifyReport> report = VerifyRun(store, options);
  EXPECT_TRUE(report.ok()) << report.status().message();
  return report.ok() ? *report : VerifyReport{};
}

std::string Lines(const VerifyReport& report) {
  std::string lines;
  for (const Finding& finding : report.findings) lines += FindingLine(finding) + "\n";
  return lines;
}

// Every row of a run, in order: sample, key, token ids, positions and the bytes of the hook points.
std::vector<std::string> RowsOf(Store& store, int64_t first_sample) {
  std::vector<std::string> rows;
  const Run run = LoadRun(store).value();
  for (int64_t unit = 0; unit < run.plan.unit_count(); ++unit) {
    const Commit commit = ReadCommit(store, unit).value();
    const std::string file = store.GetText(commit.shard).value();
    const auto bytes = AsBytes(file);
    const int64_t begin = SafetensorsDataBegin(bytes.first(8), commit.bytes).value();
    const SafetensorsHeader header =
        ParseSafetensorsHeader(bytes.first(static_cast<size_t>(begin)), commit.bytes).value();
    const auto element = [&](const char* tensor, size_t index) {
      int64_t value = 0;
      std::memcpy(&value, file.data() + header.Find(tensor)->begin + index * 8, 8);
      return value;
    };
    for (size_t s = 0; s < static_cast<size_t>(commit.sequence_count); ++s) {
      std::string row = std::to_string(first_sample + element("sample_index", s));
      const int64_t from = element("sequence_offsets", s);
      const int64_t to = element("sequence_offsets", s + 1);
      for (const TensorEntry& tensor : header.tensors) {
        if (tensor.shape.empty() || tensor.shape[0] != commit.token_count ||
            tensor.name.starts_with("s")) {
          continue;
        }
        const int64_t row_bytes = (tensor.end - tensor.begin) / commit.token_count;
        row += tensor.name + file.substr(static_cast<size_t>(tensor.begin + from * row_bytes),
                                         static_cast<size_t>((to - from) * row_bytes));
      }
      rows.push_back(row);
    }
  }
  return rows;
}

class MergeTest : public testing::Test {
 protected:
  RunForTest a_{PartOptions(Records("ab", 4))};
  RunForTest b_{PartOptions(Records("cd", 5))};
  RunForTest c_{PartOptions(Records("ef", 3))};
  MemoryStore output_;
};

TEST_F(MergeTest, TheMergedRunHasTheRowsOfItsPartsAndIsSound) {
  const Result<MergeReport> report = Merge({&a_, &b_}, output_);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->sample_count, 9);
  EXPECT_FALSE(report->completion.HasExceptions());
  const VerifyReport verified = Verify(output_);
  EXPECT_TRUE(verified.ok()) << Lines(verified);
  EXPECT_EQ(verified.stored_samples, 9);
  std::vector<std::string> expected = RowsOf(a_.store(), 0);
  for (const std::string& row : RowsOf(b_.store(), 4)) expected.push_back(row);
  EXPECT_EQ(RowsOf(output_, 0), expected);
  EXPECT_EQ(expected.size(), 9U);
}

// Verify reads the parts' data sets again, and finds rows that are not theirs.
TEST_F(MergeTest, RowsAreComparedWithTheDataSetsOfTheParts) {
  RunForTest::Options options = PartOptions(Records("ab", 4));
  options.inputs_can_be_found = true;
  RunForTest a(options);
  options.records = Records("cd", 5);
  RunForTest b(options);
  ASSERT_TRUE(Merge({&a, &b}, output_).ok());
  const VerifyReport sound = Verify(output_);
  EXPECT_TRUE(sound.rows_were_identified) << Lines(sound);
  EXPECT_EQ(sound.damage_count, 0) << Lines(sound);
  // The second part's data set is no longer what it was.
  std::ofstream(b.dataset_path()) << R"({"id": "zz", "token_ids": [1]})"
                                  << "\n";
  const VerifyReport changed = Verify(output_);
  EXPECT_FALSE(changed.rows_were_identified);
  EXPECT_THAT(Lines(changed), HasSubstr("rows were not compared with the data set"));
  MemoryStore swapped;
  b.ForgeElement<int32_t>(0, "token_ids", 0, 7);
  std::ofstream(b.dataset_path()) << [&] {
    std::string text;
    for (const std::string& record : Records("cd", 5)) text += record + "\n";
    return text;
  }();
  ASSERT_TRUE(Merge({&a, &b}, swapped).ok());
  EXPECT_THAT(Lines(Verify(swapped)), HasSubstr("other token ids than the data set gives"));
}

TEST_F(MergeTest, StatisticsAreTheExactMerge) {
  ASSERT_TRUE(Merge({&a_, &b_}, output_).ok());
  const RunSummary merged = SummariseRun(output_, LoadRun(output_).value()).value();
  MergedStatistics expected;
  for (RunForTest* part : {&b_, &a_}) {
    for (int64_t unit = 0; unit < part->run().plan.unit_count(); ++unit) {
      expected.Add(part->CommitOf(unit).statistics[0].statistics);
    }
  }
  EXPECT_EQ(merged.statistics[0].statistics.sum, expected.Total().sum);
  EXPECT_EQ(merged.statistics[0].statistics.count, expected.Total().count);
}

TEST_F(MergeTest, InWhichStepsRunsAreMergedMakesNoDifference) {
  ASSERT_TRUE(Merge({&a_, &b_, &c_}, output_).ok());
  MemoryStore half;
  MemoryStore whole;
  ASSERT_TRUE(Merge({&a_, &b_}, half).ok());
  ASSERT_TRUE(MergeRuns({{"half", &half}, {"c", &c_.store()}}, whole, Clock::Real(), {}).ok());
  EXPECT_TRUE(ContentOf(whole) == ContentOf(output_));
}

TEST_F(MergeTest, AnInterruptedMergeGoesOnWhereverItStopped) {
  ASSERT_TRUE(Merge({&a_, &b_}, output_).ok());
  const auto expected = ContentOf(output_);
  for (const FaultKind kind : {FaultKind::kErrorBefore, FaultKind::kErrorAfter}) {
    int64_t call = 1;
    for (;; ++call) {
      MemoryStore inner;
      SleepClock clock;
      FaultStore store(inner, clock, {{.kind = kind, .first_call = call, .call_count = 1'000'000}});
      const bool done = Merge({&a_, &b_}, store, {.connections = 1}).ok();
      ASSERT_TRUE(Merge({&a_, &b_}, inner).ok()) << "call " << call;
      ASSERT_TRUE(ContentOf(inner) == expected) << "call " << call;
      if (done) break;
    }
    EXPECT_GT(call, 10);
  }
}

TEST_F(MergeTest, MergingAgainCopiesNothingAndMendsWhatWasReopened) {
  ASSERT_TRUE(Merge({&a_, &b_}, output_).ok());
  const auto expected = ContentOf(output_);
  EXPECT_EQ(Merge({&a_, &b_}, output_)->copied_count, 0);
  ASSERT_TRUE(ReopenUnit(output_, LoadRun(output_).value(), 1).ok());
  EXPECT_EQ(Merge({&a_, &b_}, output_)->copied_count, 1);
  EXPECT_TRUE(ContentOf(output_) == expected);
}

TEST_F(MergeTest, UnitsThatWereSetAsideStaySo) {
  b_.Delete(CommitKey(1));
  const SampleRange samples = b_.run().plan.Samples(1);
  const Quarantine aside{.unit = 1,
                         .first_sample = samples.first,
                         .sample_count = samples.count,
                         .errors = {"it burns"}};
  b_.Put(QuarantineKey(1), aside.ToText());
  const Result<MergeReport> report = Merge({&a_, &b_}, output_);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->completion.quarantined_count, 1);
  const VerifyReport verified = Verify(output_);
  EXPECT_TRUE(verified.ok()) << Lines(verified);
  EXPECT_EQ(verified.quarantined_count, 1);
}

TEST_F(MergeTest, RunsThatDifferAreRefused) {
  RunForTest::Options options = PartOptions(Records("xy", 2));
  options.dtype = DType::kF32;
  RunForTest other_dtype(options);
  Status status = Merge({&a_, &other_dtype}, output_).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("capture.dtype: the first has \"bf16\", the second"));
  options = PartOptions(Records("xy", 2));
  options.hooks = {"hook_embed"};
  RunForTest other_hooks(options);
  status = Merge({&a_, &other_hooks}, output_).status();
  EXPECT_THAT(status.message(), HasSubstr("capture.hooks"));
  EXPECT_TRUE(ListAll(output_, "").value().empty()) << "nothing was begun";
}

TEST_F(MergeTest, AnotherModelIsRefused) {
  RunSpec spec = b_.run().spec;
  spec.model.weights_fingerprint = "xxh3-128:0";
  b_.Put(std::string(kRunKey), spec.ToText());
  b_.Put(PlanKey(spec.Fingerprint()), b_.run().plan.ToJson());
  EXPECT_THAT(Merge({&a_, &b_}, output_).status().message(),
              HasSubstr("model.weights_fingerprint"));
}

TEST_F(MergeTest, OverlappingDataIsRefused) {
  EXPECT_THAT(Merge({&a_, &b_, &a_}, output_).status().message(), HasSubstr("is there already"));
  // The same records and two more: another data set, four samples in common.
  RunForTest longer(PartOptions(Records("ab", 6)));
  const Status status = Merge({&b_, &a_, &longer}, output_).status();
  EXPECT_THAT(status.message(),
              HasSubstr("4 samples are in two of the runs, the same key and tokens; the first: "
                        "sample 0 of part-2 is sample 0 of part-1"));
  EXPECT_TRUE(ListAll(output_, "").value().empty()) << "nothing was begun";
  const Result<MergeReport> report =
      Merge({&b_, &a_, &longer}, output_, {.allow_duplicates = true});
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_TRUE(Verify(output_).ok());
}

TEST_F(MergeTest, IncompleteAndDamagedPartsAreRefused) {
  const std::string commit = b_.Text(CommitKey(1));
  b_.Delete(CommitKey(1));
  EXPECT_THAT(Merge({&a_, &b_}, output_).status().message(),
              HasSubstr("part-1 is not complete: 1 of its 2 units are missing"));
  EXPECT_TRUE(ListAll(output_, "").value().empty()) << "nothing was begun";
  b_.Put(CommitKey(1), commit);
  // A byte of a hook point: found while copying.
  const std::string key = b_.ShardKeyOf(1);
  std::string file = b_.Text(key);
  file[static_cast<size_t>(b_.HeaderOf(file).data_begin) + 1] ^= 1;
  b_.Put(key, file);
  const Status status = Merge({&a_, &b_}, output_).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("part-1: unit-000001"));
  EXPECT_FALSE(output_.Stat(kManifestKey).ok());
}

TEST_F(MergeTest, AFolderWithAnotherRunIsLeftAlone) {
  const auto before = ContentOf(c_.store());
  const Status status = Merge({&a_, &b_}, c_.store()).status();
  EXPECT_THAT(status.message(), HasSubstr("holds another run"));
  EXPECT_TRUE(ContentOf(c_.store()) == before);
}

}  // namespace
}  // namespace thresher
