// Data sets, outputs, flags and runs that are wrong in some way.

#include "bad_input.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "extraction.h"
#include "files.h"
#include "model/model_folder_for_test.h"
#include "run_reader.h"

namespace thresher {
namespace {

using testing::HasSubstr;

TEST_F(BadInputTest, DatasetWithoutSamples) {
  ExpectRefused(Extraction{model_.path(), folder_.path() + "/no.jsonl", Output()}.Run(),
                {folder_.path() + "/no.jsonl"});
  const std::string empty_folder = folder_.path() + "/empty";
  std::filesystem::create_directory(empty_folder);
  ExpectRefused(Extraction{model_.path(), empty_folder, Output()}.Run(), {empty_folder});
  WriteFile(Dataset(), "");
  ExpectRefused(Run(), {Dataset(), "is empty", "JSONL"});
  WriteFile(Dataset(), "\n  \n\t\r\n\n");
  ExpectRefused(Run(), {Dataset(), "blank lines", "JSONL"});
}

TEST_F(BadInputTest, EverySampleIsBad) {
  WriteFile(Dataset(), "{\"token_ids\": []}\n{\"token_ids\": [512]}\nnot JSON\n");
  ExpectRefused(Run(), {Dataset() + ":1", "token_ids"});
}

struct BadLine {
  std::string line;
  Texts parts;  // of the reason
};

// Good samples around one bad line: the run is complete with an exception, and the reason that is
// recorded names the line.
TEST_F(BadInputTest, OneBadLineIsSetAsideWithItsReason) {
  const std::vector<BadLine> bad_lines = {
      {"{\"token_ids\": [1, 2", {}},
      {"nonsense", {}},
      {"[1, 2, 3]", {"object"}},
      {"{\"token_ids\": []}", {"token_ids", "at least one token"}},
      {"{\"token_ids\": [1, 512]}", {"token_ids", "[1]", "511", "512"}},
      {"{\"token_ids\": [-1]}", {"token_ids", "-1"}},
      {"{\"token_ids\": [1.5]}", {"token_ids", "1.5"}},
      {"{\"token_ids\": [1e30]}", {"token_ids"}},
      {"{\"token_ids\": [18446744073709551615]}", {"token_ids"}},
      {"{\"token_ids\": \"1 2 3\"}", {"token_ids", "list"}},
      {"{\"token_ids\": [1], \"token_ids\": [2]}", {"token_ids"}},
      {"{\"tokens\": [1, 2]}", {"token_ids", "tokens"}},
      {"{\"text\": \"words\"}", {"tokenizer.json"}},
      {"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}", {"chat template"}},
      {"{\"text\": \"caf\xe9\"}", {"UTF-8"}},
      {"{\"text\": \"\\ud800\"}", {}},
      {std::string("{\"text\": \"a\0b\"}", 15), {}},
      {std::string(100'000, '['), {}},
      {"{\"train\": [], \"test\": []}", {}},
  };
  std::string text;
  std::vector<size_t> bad_samples;
  for (size_t i = 0; i < bad_lines.size(); ++i) {
    text += kGoodLine + bad_lines[i].line + "\n";
    bad_samples.push_back(2 * i + 1);
  }
  WriteFile(Dataset(), text);
  const ProcessResult result = Run({"--hooks", "resid_post", "--shard-bytes", "20KB"});
  ExpectEnd(result, 3);
  const Result<RunContent> content = ReadCompleteRun(Output());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_GT(content->units.size(), 1u);
  const std::map<int64_t, std::string> rejected = content->Rejected();
  EXPECT_EQ(rejected.size(), bad_lines.size());
  EXPECT_EQ(content->Samples().size(), bad_lines.size());
  for (size_t i = 0; i < bad_lines.size(); ++i) {
    SCOPED_TRACE(bad_lines[i].line.substr(0, 100));
    ASSERT_TRUE(rejected.contains(static_cast<int64_t>(2 * i + 1)));
    const std::string& reason = rejected.at(static_cast<int64_t>(2 * i + 1));
    EXPECT_THAT(reason, testing::StartsWith(fmt::format("{}:{}: ", Dataset(), 2 * i + 2)));
    EXPECT_LT(reason.size(), Dataset().size() + 600);
    for (const std::string& part : bad_lines[i].parts) EXPECT_THAT(reason, HasSubstr(part));
    EXPECT_THAT(result.err, HasSubstr(fmt::format("samples.jsonl:{}: ", 2 * i + 2)));
  }
  // Known to whoever comes later, too.
  EXPECT_EQ(Run({"--hooks", "resid_post", "--shard-bytes", "20KB"}).exit_status, 3);
}

TEST_F(BadInputTest, LineOf100Megabytes) {
  std::string text = kGoodLine;
  text += "{\"text\": \"" + std::string(100'000'000, 'x') + "\"}\n";
  text += kGoodLine;
  WriteFile(Dataset(), text);
  const ProcessResult result = Run();
  ExpectEnd(result, 3);
  const Result<RunContent> content = ReadCompleteRun(Output());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), 2u);
  ASSERT_EQ(content->Rejected().size(), 1u);
  EXPECT_THAT(content->Rejected().at(1), HasSubstr(Dataset() + ":2: a record of 100000012 bytes"));
}

TEST_F(BadInputTest, TooLongSamplesAreCutOrRejectedAsTold) {
  WriteFile(Dataset(), kGoodLine + std::string("{\"token_ids\": [1, 2, 3]}\n"));
  const ProcessResult result = Run({"--max-tokens", "4", "--overlong", "reject"});
  ExpectEnd(result, 3);
  const Result<RunContent> content = ReadCompleteRun(Output());
  ASSERT_TRUE(content.ok()) << content.status().message();
  ASSERT_EQ(content->Rejected().size(), 1u);
  EXPECT_THAT(content->Rejected().at(0), HasSubstr(Dataset() + ":1: 5 tokens"));
  std::filesystem::remove_all(Output());

  const ProcessResult truncated = Run({"--max-tokens", "4"});
  ExpectEnd(truncated, 0);
  EXPECT_THAT(truncated.err,
              HasSubstr("1 of 2 samples are longer than --max-tokens 4 and were cut"));
  const Result<RunContent> cut = ReadCompleteRun(Output());
  ASSERT_TRUE(cut.ok()) << cut.status().message();
  EXPECT_EQ(cut->Samples().at(0).token_ids, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(cut->units[0].commit.truncated_count, 1);

  std::filesystem::remove_all(Output());
  ExpectRefused(Run({"--max-tokens", "100000"}), {"--max-tokens", "256"}, 2);
}

TEST_F(BadInputTest, AUnitWithoutAUsableSampleIsStillCommitted) {
  std::string text;
  for (int i = 0; i < 10; ++i) text += kGoodLine;
  for (int i = 0; i < 40; ++i) text += "broken\n";
  WriteFile(Dataset(), text);
  ExpectEnd(Run({"--shard-bytes", "1KB"}), 3);
  const Result<RunContent> content = ReadCompleteRun(Output());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), 10u);
  EXPECT_EQ(content->Rejected().size(), 40u);
}

// --- output ---

TEST_F(BadInputTest, UnwritableFolder) {
  WriteFile(folder_.path() + "/file", "x");
  const std::string output = folder_.path() + "/file/run";
  ExpectRefused(Extraction{model_.path(), Dataset(), output}.Run(), {folder_.path() + "/file"});
  ExpectRefused(Extraction{model_.path(), Dataset(), "/proc/thresher/run"}.Run(),
                {"/proc/thresher"});
}

TEST_F(BadInputTest, UnknownSchemes) {
  for (const char* url : {"gcs://bucket/run", "s3a://bucket/run", "hdfs://bucket/run"}) {
    const ProcessResult result = Extraction{model_.path(), Dataset(), url}.Run();
    ExpectRefused(result, {url, "file:///"}, 2);
    EXPECT_FALSE(std::filesystem::exists("gcs:"));
  }
  // Every command says the same.
  for (Texts arguments :
       {Texts{"status"}, Texts{"verify"}, Texts{"inspect"}, Texts{"clean"}, Texts{"dashboard"},
        Texts{"doctor"}, Texts{"merge", "--output", "runs/both"},
        Texts{"merge", "runs/first", "runs/second", "--output"}}) {
    arguments.emplace_back("hdfs://bucket/run");
    const ProcessResult result = RunProcess(Thresher(arguments));
    EXPECT_EQ(result.exit_status, 2) << arguments[0] << result.Describe();
    EXPECT_THAT(result.err, HasSubstr("hdfs://bucket/run"));
    EXPECT_THAT(result.err, HasSubstr("file:///"));
  }
  ExpectRefused(Extraction{model_.path(), Dataset(), "file://relative/run"}.Run(), {"file:///"}, 2);
}

// The worker tells of every failure; the last message is the one that counts.
void ExpectDiskFullMessage(const ProcessResult& result, const std::string& reason) {
  EXPECT_EQ(result.signal, 0) << result.Describe();
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_EQ(CountOf("\n" + result.err, "\nthresher: "), 1) << result.Describe();
  EXPECT_THAT(result.err.substr(result.err.rfind("thresher: ")), HasSubstr(reason));
}

class FullDiskTest : public BadInputTest {
 protected:
  void SetUp() override {
    WriteSamples(Dataset(), {.count = 60, .shortest = 100, .longest = 200, .seed = 9});
  }
  Texts Flags() const { return {"--hooks", "all", "--shard-bytes", "1500KB"}; }

  // Units that were committed before are whole, and with room again the run is completed.
  void ExpectWholeAndResumable(const std::string& output) const {
    EXPECT_FALSE(std::filesystem::exists(output + "/manifest.json"));
    if (!std::filesystem::exists(output + "/run.json")) return;
    const Result<RunContent> content = ReadRun(output);
    EXPECT_TRUE(content.ok()) << content.status().message();
    for (const std::string& name : FilesBelow(output)) EXPECT_THAT(name, Not(HasSubstr(".tmp-")));
  }
};

TEST_F(FullDiskTest, FullDisk) {
  const std::string disk = folder_.path() + "/disk";
  ASSERT_EQ(mkdir(disk.c_str(), 0700), 0);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=5m") != 0) {
    GTEST_SKIP() << "cannot mount a small tmpfs: " << std::strerror(errno);
  }
  const Extraction extraction{model_.path(), Dataset(), disk + "/run", Flags()};
  const ProcessResult result = extraction.Run();
  ExpectDiskFullMessage(result, "No space left on device");
  ExpectWholeAndResumable(disk + "/run");
  const Result<RunContent> before = ReadRun(disk + "/run");
  EXPECT_TRUE(before.ok() && !before->units.empty()) << "some units should fit";
  EXPECT_EQ(mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=500m"), 0);
  const ProcessResult again = extraction.Run();
  EXPECT_EQ(again.exit_status, 0) << again.Describe();
  EXPECT_TRUE(ReadCompleteRun(disk + "/run").ok());
  (void)umount2(disk.c_str(), MNT_DETACH);
}

TEST_F(FullDiskTest, FilesMayNotBeLongEnough) {
  Command command = Extraction{model_.path(), Dataset(), Output(), Flags()}.ToCommand();
  command.max_file_bytes = 300 * 512;
  const ProcessResult result = RunProcess(command);
  ExpectDiskFullMessage(result, "File too large");
  ExpectWholeAndResumable(Output());
  ExpectNothingWhole();
  const ProcessResult again = Run(Flags());
  EXPECT_EQ(again.exit_status, 0) << again.Describe();
  EXPECT_TRUE(ReadCompleteRun(Output()).ok());
}

// --- flags ---

TEST_F(BadInputTest, WrongFlags) {
  const std::vector<std::pair<Texts, std::string>> cases = {
      {{"--dtype", "f64"}, "--dtype"},
      {{"--compute", "fast"}, "--compute"},
      {{"--engine", "gpu"}, "--engine"},
      {{"--overlong", "panic"}, "--overlong"},
      {{"--shard-bytes", "much"}, "--shard-bytes"},
      {{"--shard-bytes", "0"}, "--shard-bytes"},
      {{"--shard-bytes", "-5MB"}, "--shard-bytes"},
      {{"--shard-bytes", "99999999999TB"}, "--shard-bytes"},
      {{"--lease-ttl", "soon"}, "--lease-ttl"},
      {{"--lease-ttl", "0s"}, "--lease-ttl"},
      {{"--stop-grace", "x"}, "--stop-grace"},
      {{"--arenas", "0"}, "--arenas"},
      {{"--batch-tokens", "0"}, "--batch-tokens"},
      {{"--threads", "-1"}, "--threads"},
      {{"--threads", "many"}, "--threads"},
      {{"--worker-id", "-1"}, "--worker-id"},
      {{"--worker-id", "99999999999999999999"}, "--worker-id"},
      {{"--arenas", "1000000000"}, "--arenas"},
      {{"--batch-tokens", "9000000000000000000"}, "--batch-tokens"},
      {{"--max-samples", "-1"}, "--max-samples"},
      {{"--no-such-flag"}, "--no-such-flag"},
  };
  for (const auto& [flags, part] : cases) {
    SCOPED_TRACE(testing::PrintToString(flags));
    const ProcessResult result = Run(flags);
    ExpectEnd(result, 2);
    EXPECT_THAT(result.err + result.out, HasSubstr(part));
    EXPECT_LE(CountOf(result.err, "\n"), 2) << result.Describe();
    EXPECT_FALSE(std::filesystem::exists(Output()));
  }
  for (const Texts& arguments :
       {Texts{}, Texts{"nonsense"}, Texts{"extract"}, Texts{"verify"}, Texts{"inspect"}}) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    ExpectEnd(RunProcess(Thresher(arguments)), 2);
  }
}

TEST_F(BadInputTest, UnknownHooksAndLayers) {
  ExpectRefused(Run({"--hooks", "resid_post,attention"}), {"attention", "resid_mid"}, 2);
  ExpectRefused(Run({"--hooks", ""}), {"hook"}, 2);
  ExpectRefused(Run({"--layers", "3"}), {"3"}, 2);
  ExpectRefused(Run({"--layers", "2-1"}), {"2-1"}, 2);
  ExpectRefused(Run({"--layers", "one"}), {"one"}, 2);
  ExpectRefused(Run({"--layers", "0-99999999999999999999"}), {"99999999999999999999"}, 2);
}

// --- a run that is there already ---

TEST_F(BadInputTest, WorkersWhoseFlagsDisagree) {
  ExpectEnd(Run(), 0);
  const std::string manifest = ReadFile(Output() + "/manifest.json");
  const auto refused = [&](const ProcessResult& result, const std::string& field) {
    ExpectEnd(result, 1);
    EXPECT_THAT(result.err, HasSubstr(Output()));
    EXPECT_THAT(result.err, HasSubstr("\n  " + field + ": "));
    EXPECT_THAT(result.err, HasSubstr("--output"));
    EXPECT_EQ(ReadFile(Output() + "/manifest.json"), manifest);
  };
  refused(Run({"--dtype", "bf16"}), "capture.dtype");
  refused(Run({"--compute", "bf16"}), "capture.compute");
  refused(Run({"--hooks", "mlp_out"}), "capture.hooks");
  refused(Run({"--batch-tokens", "17"}), "capture.batch_tokens");
  refused(Run({"--max-tokens", "8"}), "prompts.max_tokens");
  refused(Run({"--overlong", "reject"}), "prompts.overlong");
  refused(Run({"--shard-bytes", "5MB"}), "shard_bytes");
  WriteFile(Dataset(), "{\"token_ids\": [1, 2, 3, 4, 66]}\n");
  refused(Run(), "dataset.fingerprint");
  // As long as the one that the run's index was made from.
  WriteFile(Dataset(), "{\"token_ids\": [1, 2, 3, 4, 6]}\n");
  const ProcessResult changed = Run();
  ExpectEnd(changed, 1);
  EXPECT_THAT(changed.err, HasSubstr(Dataset() + ": lines 1 to the end"));
  WriteFile(Dataset(), kGoodLine);
  // One bit of one weight.
  std::string bytes = model_.Read("model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  model_.Write("model.safetensors", bytes);
  refused(Run(), "model.weights_fingerprint");
  const ModelFolder other("llama");
  refused(Extraction{other.path(), Dataset(), Output()}.Run(), "model.architecture");
}

TEST_F(BadInputTest, DamagedRunRecords) {
  ExpectEnd(Run(), 0);
  std::filesystem::remove(Output() + "/manifest.json");
  const std::string run_json = ReadFile(Output() + "/run.json");
  const auto refused = [&](const Texts& parts) {
    const ProcessResult result = Run();
    ExpectEnd(result, 1);
    for (const std::string& part : parts) EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_FALSE(std::filesystem::exists(Output() + "/manifest.json"));
  };
  std::string edited = run_json;
  const size_t at = edited.find("resid_post");
  ASSERT_NE(at, edited.npos);
  edited.replace(at, 10, "resid_pree");
  WriteFile(Output() + "/run.json", edited);
  refused({"run.json", "fingerprint"});
  WriteFile(Output() + "/run.json", run_json.substr(0, run_json.size() / 2));
  refused({"run.json"});
  WriteFile(Output() + "/run.json", "");
  refused({"run.json"});
  WriteFile(Output() + "/run.json", run_json);

  std::string plan;
  for (const std::string& name : FilesBelow(Output() + "/plan")) plan = "plan/" + name;
  ASSERT_FALSE(plan.empty());
  const std::string plan_text = ReadFile(Output() + "/" + plan);
  WriteFile(Output() + "/" + plan, "{}");
  refused({plan});
  std::filesystem::remove(Output() + "/" + plan);
  refused({plan});
  WriteFile(Output() + "/" + plan, plan_text);
  ExpectEnd(Run(), 0);

  // A commit that was cut short must not get into a manifest.
  std::filesystem::remove(Output() + "/manifest.json");
  const std::string commit = Output() + "/commits/unit-000000.json";
  const std::string commit_text = ReadFile(commit);
  WriteFile(commit, commit_text.substr(0, commit_text.size() / 2));
  refused({"commits/unit-000000.json"});
}

}  // namespace
}  // namespace thresher
