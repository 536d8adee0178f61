// The command line as scripts and people meet it: help, settings and their sources, what is
// printed, exit statuses, the local mirror.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"
#include "work/keys.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using Texts = std::vector<std::string>;

std::vector<Json> JsonLines(const std::string& text) {
  std::vector<Json> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

// Bytes and time of change of every file: a run that was not touched has the same.
std::map<std::string, std::pair<std::string, std::filesystem::file_time_type>> Snapshot(
    const std::string& folder) {
  std::map<std::string, std::pair<std::string, std::filesystem::file_time_type>> files;
  for (const std::string& name : FilesBelow(folder)) {
    const std::string path = folder + "/" + name;
    files[name] = {ReadFile(path), std::filesystem::last_write_time(path)};
  }
  return files;
}

class CliTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteSamples(Dataset(), {.count = 12, .shortest = 20, .longest = 40, .seed = 2});
  }

  std::string Dataset() const { return folder_.path() + "/samples.jsonl"; }
  std::string Output() const { return folder_.path() + "/run"; }
  std::string Model() const { return GoldenModel("qwen2"); }

  // Without the flags that Extraction adds; runs in the test's folder.
  Command Extract(const Texts& flags) const {
    Texts arguments = {"extract", "--model",   Model(), "--dataset",     Dataset(), "--output",
                       Output(),  "--compute", "f32",   "--shard-bytes", "50KB"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    Command command = Thresher(arguments);
    command.folder = folder_.path();
    return command;
  }

  // The number N of the only folder tpu_N in the store.
  std::string WorkerFolderName() const {
    std::string found;
    for (const auto& entry : std::filesystem::directory_iterator(Output())) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with("tpu_")) continue;
      EXPECT_EQ(found, "") << "two workers' folders";
      found = name;
    }
    return found;
  }

  TemporaryFolder folder_;
};

TEST_F(CliTest, HelpHasExamplesForEachCommand) {
  const ProcessResult all = RunProcess(Thresher({"--help"}));
  EXPECT_EQ(all.exit_status, 0);
  EXPECT_EQ(all.err, "");
  for (const char* name : {"extract", "verify", "inspect", "status"}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(all.out, HasSubstr(name));
    const ProcessResult help = RunProcess(Thresher({name, "--help"}));
    EXPECT_EQ(help.exit_status, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_THAT(help.out, HasSubstr("Examples:"));
    EXPECT_THAT(help.out, HasSubstr(std::string("  thresher ") + name + " "));
  }
  const ProcessResult version = RunProcess(Thresher({"--version"}));
  EXPECT_EQ(version.exit_status, 0);
  EXPECT_THAT(version.out, testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(CliTest, MistypedNamesAreGuessed) {
  const auto said = [](const std::vector<std::string>& arguments) {
    const ProcessResult result = RunProcess(Thresher(arguments));
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    return result.err;
  };
  EXPECT_EQ(said({"extract", "--shard-byte", "1MB"}),
            "thresher: there is no --shard-byte; did you mean '--shard-bytes'?\n");
  EXPECT_THAT(said({"extract", "--shard-byte=1MB"}), HasSubstr("did you mean '--shard-bytes'?"));
  EXPECT_THAT(said({"config", "shwo"}), HasSubstr("there is no shwo; did you mean 'show'?"));
  EXPECT_THAT(said({"extrct"}), HasSubstr("there is no extrct; did you mean 'extract'?"));
  EXPECT_THAT(said({"extract", "--zzzzzzzzzzzz"}),
              testing::AllOf(Not(HasSubstr("did you mean")), HasSubstr("--zzzzzzzzzzzz")));
}

TEST_F(CliTest, JsonLinesTellTheWholeStory) {
  const ProcessResult result = RunProcess(Extract({"--json", "--worker-id", "3"}));
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(result.err, "");
  const std::vector<Json> lines = JsonLines(result.out);
  ASSERT_FALSE(lines.empty());
  Json progress;
  for (const Json& line : lines) {
    EXPECT_TRUE(line.at("event") == "progress" || line.at("event") == "message") << line;
    EXPECT_EQ(line.at("worker"), 3);
    if (line.at("event") == "progress") progress = line;
  }
  const Result<RunContent> content = ReadCompleteRun(Output());
  ASSERT_TRUE(content.ok()) << content.status().message();
  int64_t tokens = 0;
  int64_t bytes = 0;
  for (const UnitContent& unit : content->units) {
    tokens += unit.commit.token_count;
    bytes += unit.commit.bytes;
  }
  EXPECT_EQ(progress.at("units_done"), content->units.size());
  EXPECT_EQ(progress.at("unit_count"), content->units.size());
  EXPECT_EQ(progress.at("units_committed"), content->units.size());
  EXPECT_EQ(progress.at("samples_committed"), 12);
  EXPECT_EQ(progress.at("tokens_committed"), tokens);
  EXPECT_EQ(progress.at("tokens_computed"), tokens);
  EXPECT_EQ(progress.at("bytes_committed"), bytes);
}

TEST_F(CliTest, QuietPrintsNothingButProblems) {
  const ProcessResult good = RunProcess(Extract({"--quiet"}));
  EXPECT_EQ(good.exit_status, 0) << good.Describe();
  EXPECT_EQ(good.out, "");
  EXPECT_EQ(good.err, "");
  const ProcessResult bad = RunProcess(Extract({"--quiet", "--dtype", "f16"}));
  EXPECT_EQ(bad.exit_status, 1);
  EXPECT_EQ(bad.out, "");
  EXPECT_THAT(bad.err, HasSubstr("capture.dtype"));
}

TEST_F(CliTest, LinesForLogs) {
  const ProcessResult result = RunProcess(Extract({}));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(result.out, "");
  for (const char* part : {"tokens/s", "units", "ETA", "the run is complete"}) {
    EXPECT_THAT(result.err, HasSubstr(part));
  }
  EXPECT_EQ(result.err.find('\033'), std::string::npos) << "a log is no terminal";
}

TEST_F(CliTest, WorkerIdComesFromTheFirstOfItsSources) {
  const std::vector<std::pair<std::string, std::string>> variables = {
      {"THRESHER_WORKER_ID", "11"},   {"TPU_WORKER_ID", "12"},       {"WORKER_ID", "13"},
      {"JOB_COMPLETION_INDEX", "14"}, {"SLURM_ARRAY_TASK_ID", "15"}, {"SLURM_PROCID", "16"}};
  const auto worker_with = [&](const Texts& flags, size_t first_variable) {
    std::filesystem::remove_all(Output());
    Command command = Extract(flags);
    command.arguments.push_back("--quiet");
    for (size_t i = first_variable; i < variables.size(); ++i) {
      command.environment[variables[i].first] = variables[i].second;
    }
    const ProcessResult result = RunProcess(command);
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    return WorkerFolderName();
  };
  EXPECT_EQ(worker_with({"--worker-id", "10"}, 0), "tpu_10");
  for (size_t i = 0; i < variables.size(); ++i) {
    EXPECT_EQ(worker_with({}, i), "tpu_" + variables[i].second) << variables[i].first;
  }
  EXPECT_EQ(worker_with({}, variables.size()), "tpu_0");
}

TEST_F(CliTest, FlagOverEnvironmentOverFile) {
  const std::string config = folder_.path() + "/job.toml";
  WriteFile(config, fmt::format("# a job\nmodel = \"{}\"\ndataset = \"{}\"\noutput = \"{}\"\n"
                                "compute = \"f32\"\nworker-id = 21\nmax_tokens = 21\n"
                                "shard-bytes = \"21KB\"\nquiet = true\n",
                                Model(), Dataset(), Output()));
  Command command = Thresher({"extract", "--config", config, "--max-tokens", "23"});
  command.folder = folder_.path();
  command.environment["THRESHER_SHARD_BYTES"] = "22KB";
  command.environment["THRESHER_MAX_TOKENS"] = "22";
  const ProcessResult result = RunProcess(command);
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(result.err, "");
  const Result<RunContent> content = ReadCompleteRun(Output());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(WorkerFolderName(), "tpu_21");
  EXPECT_EQ(content->run.spec.shard_bytes, 22'000);
  EXPECT_EQ(content->run.spec.prompts.settings.at("max_tokens"), "23");
}

TEST_F(CliTest, MistakesInSettingsNameTheirSource) {
  const std::string config = folder_.path() + "/job.toml";
  const auto refused = [&](const Command& command, const Texts& parts) {
    const ProcessResult result = RunProcess(command);
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    for (const std::string& part : parts) EXPECT_THAT(result.err, HasSubstr(part));
  };
  WriteFile(config, "shard-byte = \"1MB\"\n");
  refused(Extract({"--config", config}), {config, "shard-byte"});
  WriteFile(config, "threads = \"several\"\n");
  refused(Extract({"--config", config}), {config, "threads"});
  WriteFile(config, "threads = = 5\n");
  refused(Extract({"--config", config}), {config});
  refused(Extract({"--config", folder_.path() + "/no.toml"}), {"no.toml"});
  Command command = Extract({});
  command.environment["WORKER_ID"] = "first";
  refused(command, {"WORKER_ID", "first"});
}

TEST_F(CliTest, CheckpointMirror) {
  const ProcessResult result = RunProcess(Extract({"--worker-id", "4"}));
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  const std::string path = folder_.path() + "/checkpoints/checkpoint_worker_4.json";
  ASSERT_TRUE(std::filesystem::exists(path));
  const Json mirror = Json::parse(ReadFile(path));
  const Result<RunContent> content = ReadCompleteRun(Output());
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(mirror, (Json{{"worker_id", 4},
                          {"last_processed_sample_idx", 11},
                          {"total_samples_processed", 12},
                          {"total_shards", content->units.size()},
                          {"dataset_path", Dataset()},
                          {"model_path", Model()},
                          {"status", "completed"}}));
  EXPECT_EQ(FilesBelow(folder_.path() + "/checkpoints").size(), 1u);

  // It decides nothing: neither lies nor rubbish in it change what a worker does.
  WriteFile(path, "rubbish");
  std::filesystem::remove_all(Output());
  EXPECT_EQ(
      RunProcess(Extract({"--worker-id", "4", "--checkpoint-dir", folder_.path() + "/checkpoints"}))
          .exit_status,
      0);
  EXPECT_TRUE(ReadCompleteRun(Output()).ok());
  EXPECT_EQ(Json::parse(ReadFile(path)).at("status"), "completed");
}

TEST_F(CliTest, NoCheckpointing) {
  EXPECT_EQ(RunProcess(Extract({"--no-checkpointing"})).exit_status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/checkpoints"));
}

TEST_F(CliTest, ASecondStartOfACompleteRunChangesNothing) {
  ASSERT_EQ(RunProcess(Extract({"--worker-id", "1"})).exit_status, 0);
  const auto before = Snapshot(Output());
  const ProcessResult again = RunProcess(Extract({"--worker-id", "2", "--json"}));
  EXPECT_EQ(again.exit_status, 0) << again.Describe();
  EXPECT_LT(again.elapsed_ms, 2'000);
  const auto after = Snapshot(Output());
  for (const auto& [name, content] : before) {
    ASSERT_TRUE(after.contains(name)) << name;
    EXPECT_EQ(after.at(name).first, content.first) << name;
    if (name == kManifestKey) continue;  // may be written again, with the same bytes
    EXPECT_EQ(after.at(name).second, content.second) << name;
  }
  for (const auto& [name, content] : after) {
    if (before.contains(name)) continue;
    EXPECT_THAT(name, testing::StartsWith("workers/tpu_2.")) << "a new file";
  }
  for (const Json& line : JsonLines(again.out)) {
    EXPECT_EQ(line.value("tokens_computed", 0), 0) << line;
  }
}

TEST_F(CliTest, ExitStatusesAndMirrorOfAStoppedWorker) {
  WriteSamples(Dataset(), {.count = 3000, .shortest = 200, .longest = 220, .seed = 2});
  Process process(
      Extract({"--stop-grace", "1s", "--batch-tokens", "1", "--threads", "1", "--worker-id", "6"}));
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + 20'000;
  while (FilesBelow(Output() + "/commits").empty()) {
    ASSERT_LT(Clock::Real().MonotonicMs(), deadline_ms);
    PassMilliseconds(5);
  }
  process.Signal(SIGINT);
  const ProcessResult result = process.Wait(20'000);
  EXPECT_EQ(result.exit_status, 75) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("start the same command again"));
  const Json mirror =
      Json::parse(ReadFile(folder_.path() + "/checkpoints/checkpoint_worker_6.json"));
  EXPECT_EQ(mirror.at("status"), "stopped");
  const Result<RunContent> content = ReadRun(Output());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(mirror.at("total_shards"), content->units.size());
}

TEST_F(CliTest, MaxSamplesAndFileUrls) {
  Texts arguments = {"extract",
                     "--model",
                     Model(),
                     "--dataset",
                     Dataset(),
                     "--output",
                     "file://" + Output(),
                     "--max-samples",
                     "5",
                     "--quiet",
                     "--no-checkpointing"};
  ASSERT_EQ(RunProcess(Thresher(arguments)).exit_status, 0);
  const Result<RunContent> content = ReadCompleteRun(Output());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(content->Samples().size(), 5u);
  arguments[6] = "memory:";
  EXPECT_EQ(RunProcess(Thresher(arguments)).exit_status, 0);
}

// Every stored dtype goes through the command line and can be verified.
TEST_F(CliTest, ARunIsExtendedWhenTheDataSetHasGrown) {
  const std::string whole = ReadFile(Dataset());
  size_t end = 0;
  for (int line = 0; line < 7; ++line) end = whole.find('\n', end) + 1;
  WriteFile(Dataset(), whole.substr(0, end));
  ASSERT_EQ(RunProcess(Extract({})).exit_status, 0);
  const auto first = Snapshot(Output());

  WriteFile(Dataset(), whole);
  const ProcessResult refused = RunProcess(Extract({}));
  EXPECT_EQ(refused.exit_status, 1);
  EXPECT_THAT(refused.err, HasSubstr("--extend"));
  const ProcessResult extended = RunProcess(Extract({"--extend"}));
  ASSERT_EQ(extended.exit_status, 0) << extended.Describe();
  auto now = Snapshot(Output());
  for (const auto& [name, content] : first) {
    const bool is_of_the_end =
        name == "manifest.json" || name == "summary.json" || name == "README.md";
    if (!is_of_the_end) {
      EXPECT_EQ(now[name], content) << name;
    }
  }
  const Result<RunContent> run = ReadCompleteRun(Output());
  ASSERT_TRUE(run.ok()) << run.status().message();
  EXPECT_EQ(run->Samples().size(), 12u);
  const ProcessResult verified = RunProcess(Thresher({"verify", Output()}));
  EXPECT_EQ(verified.exit_status, 0) << verified.Describe();
  EXPECT_EQ(RunProcess(Extract({})).exit_status, 0) << "the extended run, with its data set";

  WriteFile(Dataset(), whole.substr(end) + whole);
  const ProcessResult foreign = RunProcess(Extract({"--extend"}));
  EXPECT_EQ(foreign.exit_status, 1);
  EXPECT_THAT(foreign.err, HasSubstr("does not begin with the 12 samples"));
}

TEST_F(CliTest, StoredDtypes) {
  for (const char* dtype : {"bf16", "f32", "f16", "fp8_e4m3", "int8"}) {
    SCOPED_TRACE(dtype);
    std::filesystem::remove_all(Output());
    const ProcessResult result = RunProcess(Extract({"--dtype", dtype, "--hooks", "all"}));
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    EXPECT_TRUE(ReadRun(Output()).ok());
    const ProcessResult verify = RunProcess(Thresher({"verify", Output(), "--recompute", "1"}));
    EXPECT_EQ(verify.exit_status, 0) << verify.Describe();
  }
}

TEST_F(CliTest, StatusAndInspectReadTheRun) {
  ASSERT_EQ(RunProcess(Extract({"--quiet"})).exit_status, 0);
  for (const char* name : {"status", "inspect"}) {
    SCOPED_TRACE(name);
    const ProcessResult text = RunProcess(Thresher({name, Output()}));
    EXPECT_EQ(text.exit_status, 0) << text.Describe();
    EXPECT_FALSE(text.out.empty());
    const ProcessResult json = RunProcess(Thresher({name, Output(), "--json"}));
    EXPECT_EQ(json.exit_status, 0) << json.Describe();
    EXPECT_FALSE(Json::parse(json.out, nullptr, false).is_discarded()) << json.out;
  }
  for (const char* name : {"status", "inspect", "verify"}) {
    const ProcessResult nothing = RunProcess(Thresher({name, folder_.path() + "/nothing"}));
    EXPECT_EQ(nothing.exit_status, 1) << nothing.Describe();
    EXPECT_THAT(nothing.err, HasSubstr(folder_.path() + "/nothing"));
  }
}

}  // namespace
}  // namespace thresher
