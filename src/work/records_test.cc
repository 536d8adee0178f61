#include "work/records.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "work/json_fields.h"
#include "work/plan.h"
#include "work/run_spec.h"

namespace thresher {
namespace {

Commit ExampleCommit() {
  Commit commit;
  commit.run_fingerprint = "xxh3-128:0123";
  commit.unit = 3;
  commit.epoch = 2;
  commit.worker_id = 5;
  commit.session = "abc";
  commit.first_sample = 30;
  commit.sample_count = 10;
  commit.sequence_count = 9;
  commit.token_count = 1234;
  commit.forward_token_count = 5678;
  commit.shard = "tpu_5/unit-000003-e2-abc.safetensors";
  commit.bytes = 99999;
  commit.checksum = "crc32c:00000001";
  commit.header_checksum = "crc32c:00000002";
  commit.tensors = {{"blocks.0.hook_resid_post", "crc32c:00000003"}};
  commit.statistics = {{"blocks.0.hook_resid_post", {100, 1, 0.1, 1e300, 3.5}}};
  commit.rejected = {{31, "a.jsonl:32: bad \xff bytes"}};
  return commit;
}

TEST(CommitTest, ReadsBackWhatItWrote) {
  const std::string text = ExampleCommit().ToText();
  const auto commit = Commit::FromText(text, "commits/unit-000003.json");
  ASSERT_TRUE(commit.ok()) << commit.status().message();
  EXPECT_EQ(commit->ToText(), text);
  EXPECT_EQ(commit->statistics[0].statistics.sum_squares, 1e300);
  EXPECT_EQ(commit->rejected[0].sample, 31);
}

// Format version 1 as it was before tokens could be selected.
TEST(CommitTest, WithoutForwardTokensAllAreStored) {
  Json json = Json::parse(ExampleCommit().ToText());
  json.erase("record_checksum");
  json.erase("forward_token_count");
  const std::string compact = json.dump();
  json["record_checksum"] =
      FormatCrc32c(ExtendCrc32c(0, std::as_bytes(std::span(compact.data(), compact.size()))));
  const auto commit = Commit::FromText(json.dump(), "c");
  ASSERT_TRUE(commit.ok()) << commit.status().message();
  EXPECT_EQ(commit->forward_token_count, 1234);
}

TEST(CommitTest, EveryEditOfAVisibleCharacterIsFound) {
  const std::string text = ExampleCommit().ToText();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ' || text[i] == '\n') continue;
    std::string edited = text;
    edited[i] = edited[i] == '7' ? '8' : '7';
    const auto commit = Commit::FromText(edited, "c");
    if (commit.ok()) {
      // White space or a number written another way may read as the same record; nothing else may.
      EXPECT_EQ(commit->ToText(), text) << "byte " << i;
    }
  }
}

TEST(CommitTest, MessagesNameObjectAndField) {
  const auto missing = Commit::FromText("{\"format_version\":1}", "commits/unit-000003.json");
  EXPECT_EQ(missing.status().message(), "commits/unit-000003.json: field 'run' is missing");
  EXPECT_FALSE(Commit::FromText("", "c").ok());
  EXPECT_FALSE(Commit::FromText("[1]", "c").ok());
  EXPECT_FALSE(Commit::FromText(std::string(100000, '['), "c").ok());
}

TEST(RecordsTest, SmallRecordsReadBack) {
  const Lease lease{7, 2, 5, "abc"};
  EXPECT_EQ(Lease::FromText(lease.ToText(), "l")->session, "abc");
  const LeaseEndRecord end{"abc", "out of \xfe memory"};
  EXPECT_EQ(LeaseEndRecord::FromText(end.ToText(), "e")->session, "abc");
  Heartbeat heartbeat;
  heartbeat.session = "abc";
  heartbeat.units_held = {4, 5};
  EXPECT_EQ(Heartbeat::FromText(heartbeat.ToText(), "h")->units_held, (std::vector<int64_t>{4, 5}));
  // One of a program that did not know the newer fields yet.
  heartbeat.bytes_uploaded = 7;
  heartbeat.upload_seconds = 1.5;
  const std::string text = heartbeat.ToText();
  EXPECT_EQ(Heartbeat::FromText(text, "h")->bytes_uploaded, 7);
  EXPECT_EQ(Heartbeat::FromText(text, "h")->upload_seconds, 1.5);
  const std::string older = text.substr(0, text.find(",\n \"lease_ttl_ms\"")) + "}";
  const Result<Heartbeat> parsed = Heartbeat::FromText(older, "h");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message() << older;
  EXPECT_EQ(parsed->units_held, (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(parsed->bytes_uploaded, 0);
  const Quarantine quarantine{4, 40, 10, {"one", "two"}};
  EXPECT_EQ(Quarantine::FromText(quarantine.ToText(), "q")->errors.size(), 2u);
}

TEST(RunSpecTest, FingerprintIgnoresPathsAndFindsTheRest) {
  RunSpec run;
  run.model = {"/a", "Qwen2ForCausalLM", 2, 64, "c", "w"};
  run.dataset = {"/d", "f", 10};
  run.prompts = {"p", {{"max_tokens", "2048"}}};
  run.capture = {{"blocks.0.hook_resid_post"}, "bf16", "bf16", "cpu", "", 2048};
  run.shard_bytes = 1000;
  RunSpec elsewhere = run;
  elsewhere.model.path = "/b";
  elsewhere.program_version = "2";
  EXPECT_EQ(run.Fingerprint(), elsewhere.Fingerprint());
  EXPECT_TRUE(DifferingFields(run, elsewhere).empty());

  RunSpec other = run;
  other.prompts.settings["max_tokens"] = "1024";
  other.capture.hooks.push_back("blocks.1.hook_resid_post");
  EXPECT_NE(run.Fingerprint(), other.Fingerprint());
  const auto lines = DifferingFields(run, other);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "prompts.max_tokens: the run has \"2048\", this worker \"1024\"");
  EXPECT_EQ(lines[1],
            "capture.hooks: the run has 1 hook points, this worker 2; the first difference: "
            "nothing there, blocks.1.hook_resid_post here");

  const std::string text = run.ToText();
  ASSERT_TRUE(RunSpec::FromText(text, "run.json").ok());
  std::string edited = text;
  edited.replace(edited.find("2048"), 4, "1024");
  EXPECT_NE(RunSpec::FromText(edited, "run.json").status().message().find("run_fingerprint"),
            std::string::npos);
}

TEST(PlanTest, UnitsCoverEverySampleAndAreBalanced) {
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < 1000; ++i) tokens.push_back(100 + (i * 7919) % 900);
  const Plan plan = Plan::Balanced(tokens, 20000);
  int64_t next = 0;
  for (int64_t unit = 0; unit < plan.unit_count(); ++unit) {
    const SampleRange samples = plan.Samples(unit);
    EXPECT_EQ(samples.first, next);
    next = samples.end();
    int64_t sum = 0;
    for (int64_t i = samples.first; i < samples.end(); ++i) sum += tokens[static_cast<size_t>(i)];
    EXPECT_LT(sum, 21000);
    EXPECT_GT(sum, 18000);
  }
  EXPECT_EQ(next, 1000);
  const auto read = Plan::FromJson(plan.ToJson(), "plan");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->unit_count(), plan.unit_count());
}

TEST(PlanTest, SamplesLargerThanAUnitStandAlone) {
  const std::vector<int64_t> tokens = {5000, 1, 1, 5000, 5000};
  const Plan plan = Plan::Balanced(tokens, 1000);
  EXPECT_EQ(plan.sample_count(), 5);
  for (int64_t unit = 0; unit < plan.unit_count(); ++unit) EXPECT_GE(plan.Samples(unit).count, 1);
}

TEST(PlanTest, RejectsBoundariesThatDoNotRise) {
  for (const char* text :
       {R"({"format_version":1,"boundaries":[]})", R"({"format_version":1,"boundaries":[0]})",
        R"({"format_version":1,"boundaries":[0,5,5]})",
        R"({"format_version":1,"boundaries":[1,5]})",
        R"({"format_version":1,"boundaries":[0,1e400]})", "{}", ""}) {
    EXPECT_FALSE(Plan::FromJson(text, "plan").ok()) << text;
  }
}

TEST(RunSpecTest, PartsOfAMergedRunReadBackAndBelongToItsIdentity) {
  RunSpec run;
  run.model = {"m", "Fake", 2, 24, "c", "w"};
  run.dataset = {"a, b", "f", 5};
  run.capture.batch_tokens = 1;
  run.shard_bytes = 1;
  const std::string without_parts = run.Fingerprint();
  run.dataset.parts = {{"a", "run-a", "data-a", 2, 1}, {"b", "run-b", "data-b", 3, 2}};
  EXPECT_NE(run.Fingerprint(), without_parts);
  const Result<RunSpec> read = RunSpec::FromText(run.ToText(), "run.json");
  ASSERT_TRUE(read.ok()) << read.status().message();
  ASSERT_EQ(read->dataset.parts.size(), 2U);
  EXPECT_EQ(read->dataset.parts[1].path, "b");
  EXPECT_EQ(read->dataset.parts[1].run_fingerprint, "run-b");
  EXPECT_EQ(read->dataset.parts[1].sample_count, 3);
  EXPECT_EQ(read->dataset.parts[1].unit_count, 2);
  RunSpec elsewhere = run;
  elsewhere.dataset.parts[0].path = "moved";
  EXPECT_EQ(elsewhere.Fingerprint(), run.Fingerprint());
  RunSpec swapped = run;
  std::swap(swapped.dataset.parts[0], swapped.dataset.parts[1]);
  EXPECT_NE(swapped.Fingerprint(), run.Fingerprint());
}

// The slow twin of ManifestWriter: the whole manifest as one JSON value.
std::string ManifestAsOneValue(const std::string& run, int64_t unit_count,
                               const std::vector<ManifestEntry>& entries) {
  nlohmann::ordered_json json = {{"format_version", 1},
                                 {"run", run},
                                 {"state", "complete"},
                                 {"unit_count", unit_count},
                                 {"sample_count", 0},
                                 {"sequence_count", 0},
                                 {"rejected_count", 0},
                                 {"truncated_count", 0},
                                 {"token_count", 0},
                                 {"bytes", 0},
                                 {"quarantined", nlohmann::ordered_json::array()},
                                 {"units", nlohmann::ordered_json::array()}};
  const auto add = [&](const char* field, int64_t value) {
    json[field] = json[field].get<int64_t>() + value;
  };
  for (const ManifestEntry& entry : entries) {
    add("sample_count", entry.sample_count);
    add("sequence_count", entry.sequence_count);
    add("truncated_count", entry.truncated_count);
    add("token_count", entry.token_count);
    add("bytes", entry.bytes);
    json["units"].push_back({{"unit", entry.unit},
                             {"shard", entry.shard},
                             {"bytes", entry.bytes},
                             {"checksum", entry.checksum},
                             {"first_sample", entry.first_sample},
                             {"sample_count", entry.sample_count},
                             {"token_count", entry.token_count}});
  }
  return json.dump(1) + "\n";
}

TEST(ManifestTest, UnitByUnitIsTheSameAsAtOnce) {
  std::vector<ManifestEntry> entries;
  for (int64_t unit = 0; unit < 4; ++unit) {
    EXPECT_EQ(ManifestText("r", 4, entries, {}), ManifestAsOneValue("r", 4, entries));
    entries.push_back({.unit = unit,
                       .shard = "tpu_0/a \"quoted\"\nname" + std::to_string(unit),
                       .bytes = 10 + unit,
                       .checksum = "crc32c:00000000",
                       .first_sample = 3 * unit,
                       .sample_count = 3,
                       .sequence_count = 5,
                       .token_count = 7,
                       .truncated_count = 1});
  }
}

}  // namespace
}  // namespace thresher
