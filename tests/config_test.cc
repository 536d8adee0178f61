// `thresher config`, job files and the first users' environment variables, with the real program.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;

class ConfigTest : public testing::Test {
 protected:
  Command Show(const Texts& flags, const std::map<std::string, std::string>& variables = {}) const {
    Texts arguments = {"config", "show"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    Command command = Thresher(arguments);
    command.folder = folder_.path();
    for (const auto& [name, value] : variables) command.environment[name] = value;
    return command;
  }

  // What `config show --json` says.
  Json Shown(Texts flags, const std::map<std::string, std::string>& variables = {}) const {
    flags.push_back("--json");
    const ProcessResult result = RunProcess(Show(flags, variables));
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    Json json = Json::parse(result.out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << result.out;
    return json;
  }

  void ExpectRefused(const ProcessResult& result, const Texts& parts) const {
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_EQ(result.out, "");
    for (const std::string& part : parts) EXPECT_THAT(result.err, HasSubstr(part));
  }

  TemporaryFolder folder_;
};

TEST_F(ConfigTest, TheTableOfSettingsIsThatOfTheProgram) {
  const ProcessResult made = RunProcess(Thresher({"config", "keys", "--markdown"}));
  ASSERT_EQ(made.exit_status, 0) << made.Describe();
  EXPECT_EQ(ReadFile(SourcePath("docs/settings.md")), made.out)
      << "docs/settings.md is not that of this program; renew it with: "
         "thresher config keys --markdown > docs/settings.md";
}

TEST_F(ConfigTest, KeysAreListedForATerminalToo) {
  const ProcessResult made = RunProcess(Thresher({"config", "keys"}));
  ASSERT_EQ(made.exit_status, 0) << made.Describe();
  for (const char* part : {"Capture\n", "--shard-bytes (text)  [1GB]", "SHARD_SIZE_GB (in GB)",
                           "BATCH_SIZE (x max-tokens)", "DATASET_DIR", "--hooks (list)"}) {
    EXPECT_THAT(made.out, HasSubstr(part));
  }
}

TEST_F(ConfigTest, WhatIsShownGivesTheSameAgain) {
  folder_.Write("job.toml",
                "model = \"m\"\n[capture]\nhooks = [\"resid_post\", \"mlp_out\"]\n"
                "[run]\noutput = \"runs/first\"\nlease_ttl = \"4m\"\n");
  const ProcessResult first = RunProcess(
      Show({"--config", "job.toml", "--dataset", "d \"x\".jsonl", "--threads", "3", "--quiet"},
           {{"SHARD_SIZE_GB", "2"}, {"WORKER_ID", "5"}}));
  ASSERT_EQ(first.exit_status, 0) << first.Describe();
  EXPECT_EQ(first.err, "");
  for (const char* line :
       {"\nmodel = \"m\"  # job.toml:1\n", "\nhooks = \"resid_post,mlp_out\"  # job.toml:3\n",
        "\ndataset = \"d \\\"x\\\".jsonl\"  # flag\n",
        "\nshard-bytes = \"2GB\"  # environment SHARD_SIZE_GB\n",
        "\nworker-id = 5  # environment WORKER_ID\n", "\nthreads = 3  # flag\n",
        "\nquiet = true  # flag\n", "\ndtype = \"bf16\"  # default\n",
        "\n# keep-local =  # default: no copies\n", "\n# Store\n"}) {
    EXPECT_THAT(first.out, HasSubstr(line));
  }
  folder_.Write("complete.toml", first.out);
  const Json again = Shown({"--config", "complete.toml"});
  Json direct =
      Shown({"--config", "job.toml", "--dataset", "d \"x\".jsonl", "--threads", "3", "--quiet"},
            {{"SHARD_SIZE_GB", "2"}, {"WORKER_ID", "5"}});
  ASSERT_GT(direct.size(), 20u);
  for (const auto& [key, setting] : direct.items()) {
    EXPECT_EQ(again[key]["value"], setting["value"]) << key;
  }
  EXPECT_EQ(direct["shard-bytes"]["source"], "environment");
  EXPECT_EQ(direct["shard-bytes"]["place"], "SHARD_SIZE_GB");
  EXPECT_EQ(again["shard-bytes"]["source"], "file");
}

TEST_F(ConfigTest, TheFirstUsersVariables) {
  const Json json = Shown({}, {{"TPU_WORKER_ID", "7"},
                               {"WORKER_ID", "8"},
                               {"MODEL_PATH", "m"},
                               {"DATASET_DIR", "streams"},
                               {"OUTPUT_DIR", "./runs/x"},
                               {"CHECKPOINT_DIR", "c"},
                               {"BATCH_SIZE", "4"},
                               {"MAX_SEQ_LENGTH", "512"},
                               {"SHARD_SIZE_GB", "0.5"},
                               {"UPLOAD_TO_GCS", "true"},
                               {"GCS_BUCKET", "b"}});
  const auto value = [&](const char* key) { return json.at(key).at("value"); };
  EXPECT_EQ(value("worker-id"), 7);
  EXPECT_EQ(value("model"), "m");
  EXPECT_EQ(value("dataset"), "streams");
  EXPECT_EQ(value("output"), "gs://b/runs/x");
  EXPECT_EQ(value("checkpoint-dir"), "c");
  EXPECT_EQ(value("max-tokens"), 512);
  EXPECT_EQ(value("batch-tokens"), 4 * 512);
  EXPECT_EQ(value("shard-bytes"), "0.5GB");
}

TEST_F(ConfigTest, BatchSizeIsPartOfTheRunsIdentity) {
  WriteSamples(folder_.PathOf("samples.jsonl"), {.count = 4, .shortest = 5, .longest = 9});
  const auto extract = [&](const Texts& flags) {
    return Extraction{GoldenModel("qwen2"), folder_.PathOf("samples.jsonl"), folder_.PathOf("run"),
                      flags}
        .ToCommand();
  };
  Command command = extract({"--max-tokens", "16"});
  command.environment["BATCH_SIZE"] = "3";
  const ProcessResult result = RunProcess(command);
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(RunProcess(extract({"--max-tokens", "16", "--batch-tokens", "48"})).exit_status, 0);
  const ProcessResult other = RunProcess(extract({"--max-tokens", "16"}));
  EXPECT_EQ(other.exit_status, 1) << other.Describe();
  EXPECT_THAT(other.err, HasSubstr("capture.batch_tokens"));
}

TEST_F(ConfigTest, MistakesNameLineAndColumn) {
  folder_.Write("typo.toml", "\n[capture]\nshard-byte = \"1GB\"\n");
  ExpectRefused(RunProcess(Show({"--config", "typo.toml"})),
                {"typo.toml:3:1: ", "did you mean 'shard-bytes'?"});
  folder_.Write("type.toml", "threads = \"4\"\n");
  ExpectRefused(RunProcess(Show({}, {{"THRESHER_CONFIG", "type.toml"}})),
                {"type.toml:1:11: ", "expected an integer"});
  folder_.Write("value.toml", "\n\nstop-grace = \"soon\"\n");
  ExpectRefused(RunProcess(Show({"--config", "value.toml"})), {"--stop-grace", "value.toml:3"});
  folder_.Write("section.toml", "[storage]\npart-bytes = \"8MiB\"\n");
  ExpectRefused(RunProcess(Show({"--config", "section.toml"})),
                {"section.toml:1:2: ", "[storage]", "[store]"});
}

TEST_F(ConfigTest, WrongChoicesNameThoseThereAre) {
  const std::vector<std::pair<Texts, Texts>> cases = {
      {{"--dtype", "f8"}, {"--dtype", "bf16, f32, f16, fp8_e4m3 or int8", "f8"}},
      {{"--compute", "f16"}, {"--compute", "f32, bf16 or auto"}},
      {{"--overlong", "cut"}, {"--overlong", "truncate", "reject", "cut"}},
      {{"--engine", "gpu"}, {"--engine", "cpu", "gpu"}},
      {{"--preemption-notice", "gcp"}, {"--preemption-notice", "auto, gce, aws, azure or off"}},
  };
  for (const auto& [flags, parts] : cases) ExpectRefused(RunProcess(Show(flags)), parts);
  ExpectRefused(RunProcess(Show({}, {{"THRESHER_DTYPE", "f8"}})),
                {"(from environment variable THRESHER_DTYPE)"});
}

TEST_F(ConfigTest, CopiesCannotBeDeletedWhereNoneAreKept) {
  ExpectRefused(RunProcess(Show({"--delete-local-after-upload"})), {"--keep-local"});
  EXPECT_EQ(RunProcess(Show({"--delete-local-after-upload", "--keep-local", "x"})).exit_status, 0);
}

TEST_F(ConfigTest, UnknownVariablesAreToldOnce) {
  const ProcessResult result =
      RunProcess(Show({}, {{"THRESHER_SHARD_BYTE", "5"}, {"THRESHER_DTYPE", "f32"}}));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(result.err,
            "thresher: warning: environment variable 'THRESHER_SHARD_BYTE' is no setting and is "
            "ignored; did you mean 'THRESHER_SHARD_BYTES'?\n");
}

TEST_F(ConfigTest, CredentialsAreNeverPrinted) {
  for (const Texts& flags : {Texts{"--output", "s3://AKIAX:SECRET@bucket/run"},
                             Texts{"--output", "az://c/x?sv=2020&sig=SECRET"},
                             Texts{"--dataset", "gs://user:SECRET@bucket/data"},
                             Texts{"--model", "https://SECRET@host/model"},
                             Texts{"--store-endpoint", "http://user:SECRET@127.0.0.1:9"},
                             Texts{"--store-endpoint", "http://127.0.0.1:9/?sig=SECRET"}}) {
    for (const bool as_json : {false, true}) {
      Texts all = flags;
      if (as_json) all.push_back("--json");
      const ProcessResult result = RunProcess(Show(all));
      ExpectRefused(result, {flags[0], "user information"});
      EXPECT_THAT(result.err, Not(HasSubstr("SECRET")));
    }
  }
  const std::map<std::string, std::string> credentials = {
      {"AWS_SECRET_ACCESS_KEY", "SECRET"}, {"AZURE_STORAGE_KEY", "SECRET"}, {"HF_TOKEN", "SECRET"}};
  const ProcessResult result = RunProcess(Show({}, credentials));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out + result.err, Not(HasSubstr("SECRET")));
}

TEST_F(ConfigTest, StoreCommandsReadTheirPartOfTheJobFile) {
  folder_.Write("job.toml", "model = \"m\"\n[store]\npart-bytes = \"1KB\"\n");
  for (const char* name : {"status", "verify", "inspect", "doctor", "clean"}) {
    Command command = Thresher({name, "memory:", "--config", "job.toml"});
    command.folder = folder_.path();
    const ProcessResult result = RunProcess(command);
    EXPECT_EQ(result.exit_status, 2) << name << ": " << result.Describe();
    EXPECT_THAT(result.err, HasSubstr("--part-bytes"));
    EXPECT_THAT(result.err, HasSubstr("(from job.toml:3)"));
  }
}

}  // namespace
}  // namespace thresher
