#include "settings/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>

#include "base/temporary_folder_for_test.h"
#include "settings/settings_table.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Sets an environment variable and removes it again.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

// A command with one setting of each kind.
class Sample {
 public:
  Sample() : sources(app) {
    sources.BeginGroup("Model");
    sources.Add("--model", model, "Its folder", {"TEST_MODEL"});
    sources.BeginGroup("Run");
    sources.Add("--hooks", hooks, "Hook points")->join(',');
    sources.Add("--bytes", bytes, "Size");
    sources.AddVariable("--bytes", {.name = "TEST_SIZE_GB", .unit = "GB"});
    sources.Add("--tokens", tokens, "Longest [2048, or fewer]");
    sources.Add("--batch", batch, "Batch");
    sources.AddVariable("--batch",
                        {.name = "TEST_BATCH", .times = "tokens", .times_if_not_given = 2048});
    sources.Add("--fraction", fraction, "Part");
    sources.Add("--worker", worker, "Number [the machine's]");
    sources.AddFlag("--quiet", quiet, "Say nothing");
    sources.AddConfigFlag();
  }

  Status Run(std::vector<std::string> flags) {
    std::reverse(flags.begin(), flags.end());
    try {
      app.parse(flags);
    } catch (const CLI::Error& error) {
      return InvalidArgument(error.what());
    }
    return sources.Fill();
  }

  SettingInfo Info(const std::string& key) const {
    for (const SettingInfo& info : sources.List()) {
      if (info.key == key) return info;
    }
    ADD_FAILURE() << key;
    return {};
  }

  CLI::App app;
  std::string model;
  std::string hooks = "resid_post";
  std::string bytes = "1GB";
  int64_t tokens = 0;
  int64_t batch = 2048;
  double fraction = 0.5;
  std::optional<int64_t> worker;
  bool quiet = false;
  Settings sources;
};

class SettingsTest : public testing::Test {
 protected:
  std::string Job(const std::string& text) const { return folder_.Write("job.toml", text); }

  TemporaryFolder folder_;
};

TEST_F(SettingsTest, FlagOverEnvironmentOverFile) {
  const std::string job =
      Job("bytes = \"3GB\"\nmodel = \"file\"\n[run]\ntokens = 3\nquiet = true\n");
  const Variable bytes("THRESHER_BYTES", "2GB");
  const Variable tokens("THRESHER_TOKENS", "2");
  Sample sample;
  const Status filled = sample.Run({"--config", job, "--bytes", "1GB"});
  ASSERT_TRUE(filled.ok()) << filled.message();
  EXPECT_EQ(sample.bytes, "1GB");
  EXPECT_EQ(sample.Info("bytes").source, SettingSource::kFlag);
  EXPECT_EQ(sample.tokens, 2);
  EXPECT_EQ(sample.Info("tokens").place, "THRESHER_TOKENS");
  EXPECT_EQ(sample.model, "file");
  EXPECT_EQ(sample.Info("model").place, job + ":2");
  EXPECT_TRUE(sample.quiet);
  EXPECT_EQ(sample.Info("batch").source, SettingSource::kDefault);
  EXPECT_EQ(sample.Info("batch").value, "2048");
}

TEST_F(SettingsTest, AFlagSaysNoToTheFile) {
  const std::string job = Job("quiet = true\n");
  Sample sample;
  ASSERT_TRUE(sample.Run({"--config", job, "--quiet=false"}).ok());
  EXPECT_FALSE(sample.quiet);
  EXPECT_EQ(sample.Info("quiet").value, "false");
}

TEST_F(SettingsTest, TheFirstVariableThatIsNotEmptyCounts) {
  const Variable first("THRESHER_MODEL", "");
  const Variable second("TEST_MODEL", "second");
  const Variable size("TEST_SIZE_GB", "0.5");
  Sample sample;
  ASSERT_TRUE(sample.Run({}).ok());
  EXPECT_EQ(sample.model, "second");
  EXPECT_EQ(sample.bytes, "0.5GB");
}

TEST_F(SettingsTest, ProductsFollowTheOtherSettingWhereverItIsFrom) {
  const Variable batch("TEST_BATCH", "8");
  {
    Sample sample;
    ASSERT_TRUE(sample.Run({}).ok());
    EXPECT_EQ(sample.batch, 8 * 2048);
    EXPECT_EQ(sample.Info("batch").place, "TEST_BATCH=8 x tokens 2048");
  }
  {
    Sample sample;
    ASSERT_TRUE(sample.Run({"--config", Job("tokens = 100\nbatch = 5\n")}).ok());
    EXPECT_EQ(sample.batch, 800) << "the environment wins over the file";
  }
  {
    Sample sample;
    ASSERT_TRUE(sample.Run({"--tokens", "10", "--batch", "3"}).ok());
    EXPECT_EQ(sample.batch, 3);
  }
  for (const char* wrong : {"0", "-1", "1.5", "many", "9223372036854775807", "8 "}) {
    const Variable again("TEST_BATCH", wrong);
    Sample sample;
    EXPECT_THAT(sample.Run({}).message(), HasSubstr("environment variable TEST_BATCH: expected"))
        << wrong;
  }
}

TEST_F(SettingsTest, ListsAreJoined) {
  Sample sample;
  ASSERT_TRUE(sample.Run({"--config", Job("hooks = [\"q\", \"k\"]")}).ok());
  EXPECT_EQ(sample.hooks, "q,k");
  EXPECT_EQ(sample.Info("hooks").value, "q,k");
  EXPECT_TRUE(sample.Info("hooks").is_list);
  for (const char* text : {"q,k", "q", "", "q, k"}) {
    Sample other;
    ASSERT_TRUE(other.Run({"--hooks", text}).ok());
    EXPECT_EQ(other.hooks, text);
  }
}

TEST_F(SettingsTest, TheJobFileMayBeNamedByTheEnvironment) {
  const std::string job = Job("tokens = 7\n");
  const std::string other = folder_.Write("other.toml", "tokens = 8\n");
  const Variable config("THRESHER_CONFIG", job);
  Sample sample;
  ASSERT_TRUE(sample.Run({}).ok());
  EXPECT_EQ(sample.tokens, 7);
  Sample flagged;
  ASSERT_TRUE(flagged.Run({"--config", other}).ok());
  EXPECT_EQ(flagged.tokens, 8);
  const Variable gone("THRESHER_CONFIG", folder_.PathOf("none.toml"));
  Sample missing;
  EXPECT_THAT(missing.Run({}).message(), HasSubstr("environment variable THRESHER_CONFIG: "));
}

TEST_F(SettingsTest, MistakesNameTheirSource) {
  const Variable worker("THRESHER_WORKER", "first");
  Sample sample;
  EXPECT_EQ(sample.Run({}).message(),
            "environment variable THRESHER_WORKER: worker: expected an integer, found 'first'");
  const Variable large("THRESHER_WORKER", "99999999999999999999");
  Sample other;
  EXPECT_THAT(other.Run({}).message(), HasSubstr("expected a smaller integer"));
}

TEST_F(SettingsTest, LaterChecksAreToldWhereTheValueCameFrom) {
  const std::string job = Job("\nbytes = \"much\"\n");
  Sample sample;
  ASSERT_TRUE(sample.Run({"--config", job, "--tokens", "3"}).ok());
  const auto with_source = [&](const char* message) {
    return sample.sources.WithSource(InvalidArgument(message)).message();
  };
  EXPECT_EQ(with_source("--bytes: no size"), "--bytes: no size (from " + job + ":2)");
  EXPECT_EQ(with_source("--tokens: no number"), "--tokens: no number");
  EXPECT_EQ(with_source("--batch is wrong"), "--batch is wrong");
  EXPECT_EQ(with_source("--other"), "--other");
  EXPECT_EQ(with_source("-"), "-");
}

TEST_F(SettingsTest, UnknownVariablesAreTold) {
  const Variable known("THRESHER_MODEL", "m");
  const Variable cache("THRESHER_CACHE", "/tmp/cache");
  const Variable unknown("THRESHER_BYTE", "1");
  Sample sample;
  EXPECT_THAT(sample.sources.UnknownVariables(),
              testing::Contains("environment variable 'THRESHER_BYTE' is no setting and is "
                                "ignored; did you mean 'THRESHER_BYTES'?"));
  for (const std::string& message : sample.sources.UnknownVariables()) {
    EXPECT_THAT(message, Not(HasSubstr("'THRESHER_MODEL' is no")));
    EXPECT_THAT(message, Not(HasSubstr("THRESHER_CACHE")));
  }
}

TEST_F(SettingsTest, KeysOfOtherCommandsPass) {
  Sample all;
  CLI::App app;
  Settings few(app);
  int64_t tokens = 0;
  few.Add("--tokens", tokens, "Longest");
  few.AddConfigFlag(&all.sources);
  const Variable config("THRESHER_CONFIG", Job("[run]\nbytes = \"1GB\"\ntokens = 5\n"));
  const Status filled = few.Fill();
  EXPECT_TRUE(filled.ok()) << filled.message();
  EXPECT_EQ(tokens, 5);
  const Variable wrong("THRESHER_CONFIG", Job("bites = \"1GB\"\n"));
  EXPECT_THAT(few.Fill().message(), HasSubstr("did you mean 'bytes'"));
}

TEST_F(SettingsTest, TheHelpNamesDefaultsOnce) {
  const Sample sample;
  const std::string help = sample.app.help();
  EXPECT_THAT(help, HasSubstr("Size [1GB]"));
  EXPECT_THAT(help, HasSubstr("Longest [2048, or fewer]"));
  EXPECT_THAT(help, Not(HasSubstr("=1GB")));
  EXPECT_THAT(help, Not(HasSubstr("Its folder [")));
  EXPECT_EQ(sample.Info("tokens").meaning, "Longest");
  EXPECT_EQ(sample.Info("tokens").default_text, "2048, or fewer");
  EXPECT_EQ(sample.Info("tokens").default_value, "0");
  EXPECT_EQ(sample.Info("model").group, "Model");
}

TEST_F(SettingsTest, TomlGivesTheSameValuesAgain) {
  Sample sample;
  ASSERT_TRUE(sample
                  .Run({"--model", "a \"b\"\\\n#c", "--hooks", "q,k", "--tokens", "0x10", "--quiet",
                        "--fraction", "0.125"})
                  .ok());
  const Result<std::string> toml = SettingsToml(sample.sources.List());
  ASSERT_TRUE(toml.ok());
  EXPECT_THAT(*toml, HasSubstr("# Run\nhooks = \"q,k\"  # flag\nbytes = \"1GB\"  # default\n"));
  EXPECT_THAT(*toml, HasSubstr("\n# worker =  # default: the machine's\n"));
  EXPECT_THAT(*toml, HasSubstr("tokens = 16  # flag\n"));
  Sample again;
  const Status filled = again.Run({"--config", Job(*toml)});
  ASSERT_TRUE(filled.ok()) << filled.message();
  for (const SettingInfo& info : sample.sources.List()) {
    EXPECT_EQ(again.Info(info.key).value, info.value) << info.key;
  }
  EXPECT_EQ(again.model, sample.model);
  EXPECT_EQ(again.worker, std::nullopt);
  EXPECT_TRUE(again.quiet);
  Sample wrong;
  ASSERT_TRUE(wrong.Run({"--model", "\xff"}).ok());
  EXPECT_THAT(SettingsToml(wrong.sources.List()).status().message(), HasSubstr("--model"));
}

TEST_F(SettingsTest, PlacesCannotEndTheirComment) {
  const std::string job = folder_.Write("a\nmodel = 1\n.toml", "tokens = 5\n");
  Sample sample;
  ASSERT_TRUE(sample.Run({"--config", job}).ok());
  const Result<std::string> toml = SettingsToml(sample.sources.List());
  ASSERT_TRUE(toml.ok());
  EXPECT_THAT(*toml, Not(HasSubstr("\nmodel = 1")));
}

TEST_F(SettingsTest, JsonHasTheTypesOfTheSettings) {
  Sample sample;
  ASSERT_TRUE(sample.Run({"--quiet", "--tokens", "5"}).ok());
  const std::string json = SettingsJson(sample.sources.List());
  EXPECT_THAT(json, HasSubstr("\"value\": true"));
  EXPECT_THAT(json, HasSubstr("\"value\": 5"));
  EXPECT_THAT(json, HasSubstr("\"value\": 0.5"));
  EXPECT_THAT(json, HasSubstr("\"value\": null"));
  EXPECT_THAT(json, HasSubstr("\"value\": \"1GB\""));
}

TEST_F(SettingsTest, TablesNameEverything) {
  const Sample sample;
  const std::string markdown = SettingsMarkdown(sample.sources.List());
  EXPECT_THAT(markdown, HasSubstr("## Run\n\n| flag |"));
  EXPECT_THAT(markdown, HasSubstr("| `--bytes` | `bytes` | text | 1GB | `THRESHER_BYTES`, "
                                  "`TEST_SIZE_GB` (in GB) | Size |\n"));
  EXPECT_THAT(markdown, HasSubstr("`TEST_BATCH` (x `tokens`)"));
  const std::string text = SettingsText(sample.sources.List());
  for (const SettingInfo& info : sample.sources.List()) {
    EXPECT_THAT(markdown, HasSubstr("`--" + info.key + "`"));
    EXPECT_THAT(text, HasSubstr("--" + info.key + " "));
    EXPECT_THAT(text, HasSubstr(info.meaning));
  }
}

}  // namespace
}  // namespace thresher
