// `thresher prompts`, and the settings of prompts and samples on `thresher extract`, with the real
// program.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;

constexpr const char* kTasks =
    R"({"task_id": "a", "train": [{"input": [[1, 2]], "output": [[2]]}], "test": [{"input": [[3]], "output": [[4]]}]}
{"task_id": "b", "train": [{"input": [[1, 2]], "output": [[2, 1]]}], "test": [{"input": [[3]]}]}
{"id": 7, "examples": [[[[5]], [[6]]], [[[7]], [[8]]]], "source": "def solve(grid):\n    return grid"}
)";

class PromptsTest : public testing::Test {
 protected:
  void SetUp() override {
    namespace fs = std::filesystem;
    const std::string tokenizer = SourcePath("tests/data/tokenizers/tiny512");
    for (const std::string name : {"tokenizer.json", "tokenizer_config.json"}) {
      fs::copy_file(fs::path(tokenizer) / name, fs::path(model_.path()) / name);
    }
    WriteFile(Dataset(), kTasks);
  }

  // Makes the folder of the tokenizer a model that can be run.
  void AddWeights() const {
    Json config = Json::parse(ReadFile(GoldenModel("qwen2") + "/config.json"));
    config["max_position_embeddings"] = 2048;
    WriteFile(model_.path() + "/config.json", config.dump());
    std::filesystem::copy_file(GoldenModel("qwen2") + "/model.safetensors",
                               model_.path() + "/model.safetensors");
  }

  std::string Dataset() const { return folder_.path() + "/tasks.jsonl"; }
  std::string Output() const { return folder_.path() + "/run"; }

  ProcessResult Prompts(Texts flags) const {
    Texts arguments = {"prompts", "--model", model_.path(), "--dataset", Dataset()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return RunProcess(Thresher(arguments));
  }

  // The lines of `prompts --json`.
  std::vector<Json> Shown(Texts flags, int exit_status = 0) const {
    flags.push_back("--json");
    const ProcessResult result = Prompts(flags);
    EXPECT_EQ(result.exit_status, exit_status) << result.Describe();
    std::vector<Json> lines;
    for (size_t begin = 0; begin < result.out.size();) {
      const size_t end = result.out.find('\n', begin);
      lines.push_back(Json::parse(result.out.substr(begin, end - begin), nullptr, false));
      EXPECT_TRUE(lines.back().is_object()) << result.out;
      begin = end + 1;
    }
    return lines;
  }

  ProcessResult Extract(const Texts& flags) const {
    return Extraction{model_.path(), Dataset(), Output(), flags}.Run();
  }

  static void ExpectRefused(const ProcessResult& result, const std::string& part,
                            int exit_status = 2) {
    EXPECT_EQ(result.exit_status, exit_status) << result.Describe();
    EXPECT_THAT("\n" + result.err, HasSubstr("\nthresher: " + part));
  }

  TemporaryFolder folder_;
  TemporaryFolder model_;
};

TEST_F(PromptsTest, ListAndShow) {
  const ProcessResult list = RunProcess(Thresher({"prompts", "--list"}));
  ASSERT_EQ(list.exit_status, 0) << list.Describe();
  EXPECT_THAT(list.out, HasSubstr("output-from-examples   The output of the test input"));
  const ProcessResult show = RunProcess(Thresher({"prompts", "--show", "inputs"}));
  ASSERT_EQ(show.exit_status, 0) << show.Describe();
  EXPECT_EQ(show.out, ReadFile(SourcePath("src/sample/prompts/inputs.jinja")));
  ExpectRefused(RunProcess(Thresher({"prompts", "--show", "none"})),
                "--show: there is no built-in prompt 'none'");
  ExpectRefused(RunProcess(Thresher({"prompts"})), "--model is missing");
}

TEST_F(PromptsTest, ShowsTextTokensAndWhatIsStored) {
  const ProcessResult result =
      Prompts({"--index", "0", "--variants", "1", "--tokens", "assistant"});
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("=== sample 0: record 0, variant 0, "));
  EXPECT_THAT(result.out, HasSubstr("tasks.jsonl:1, key a\n"));
  EXPECT_THAT(result.out, HasSubstr("--- text\n<|im_start|>user\nBelow is a puzzle"));
  EXPECT_THAT(result.out, HasSubstr("Test\nInput:\n```grid\n3\n```\n<|im_end|>\n<|im_start|>"
                                    "assistant\n\n--- tokens\n 1\"<|im_start|>\" "));
  EXPECT_THAT(result.out, HasSubstr(" 1*\"<|im_start|>\" "));
  EXPECT_THAT(result.out, HasSubstr(" stored (marked *)\n"));
  EXPECT_THAT(Prompts({"--index", "0"}).out, HasSubstr(" tokens in 1 sequence, all stored\n"));
  const ProcessResult none = Prompts({"--index", "0", "--tokens", "fraction:1e-9"});
  EXPECT_THAT(none.out, HasSubstr(" tokens in 1 sequence, none stored\n"));
  const ProcessResult split =
      Prompts({"--index", "0", "--overlong", "split", "--max-tokens", "40"});
  EXPECT_THAT(split.out, HasSubstr("\nsequence 1:\n "));
}

TEST_F(PromptsTest, WhichSamples) {
  const auto samples = [&](const Texts& flags) {
    std::vector<int64_t> numbers;
    for (const Json& line : Shown(flags)) numbers.push_back(line.at("sample"));
    return numbers;
  };
  EXPECT_THAT(samples({}), testing::ElementsAre(0, 8, 16)) << "three records";
  EXPECT_THAT(samples({"--count", "2"}), testing::ElementsAre(0, 8));
  EXPECT_THAT(samples({"--sample", "23"}), testing::ElementsAre(23));
  EXPECT_THAT(samples({"--sample", "22", "--count", "9"}), testing::ElementsAre(22, 23));
  EXPECT_THAT(samples({"--index", "1", "--variant", "7"}), testing::ElementsAre(15));
  EXPECT_THAT(samples({"--variant", "3", "--count", "2"}), testing::ElementsAre(3, 4));
  ExpectRefused(Prompts({"--sample", "24"}), "--sample: expected a number from 0 to 23 (samples)");
  ExpectRefused(Prompts({"--index", "3"}), "--index: expected a number from 0 to 2 (records)");
  ExpectRefused(Prompts({"--variant", "8"}), "--variant: expected a number from 0 to 7");
  ExpectRefused(Prompts({"--sample", "1", "--index", "1"}),
                "--sample: it names record and variant");
  ExpectRefused(Prompts({"--count", "0"}), "--count: expected a number from 1, found 0");
}

TEST_F(PromptsTest, ATemplateOfOnesOwn) {
  const std::string path = folder_.path() + "/mine.jinja";
  WriteFile(path,
            "{{ code }}?{{ test[0].input_grid[0][0] }}\n{# answer #}\n{{ test[0].output }}\n");
  const Texts flags = {"--prompt",     path,     "--index",        "2",
                       "--prompt-end", "answer", "--grid-encoder", "minimal"};
  const std::vector<Json> lines = Shown(flags);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("text"),
            "<|im_start|>user\ndef solve(grid):\n    return grid?7<|im_end|>\n"
            "<|im_start|>assistant\n8<|im_end|>\n");
  EXPECT_EQ(lines[0].at("key"), "7#0");
  WriteFile(path, "a\nb {{ wrong }}");
  EXPECT_THAT(Shown({"--prompt", path, "--sample", "0"}, 3)[0].at("rejected"),
              HasSubstr("prompt 'mine.jinja': mine.jinja:2: undefined value"));
  WriteFile(path, "a\n{% for %}");
  ExpectRefused(Prompts({"--prompt", path}), "--prompt: mine.jinja:2: ");
}

// What cannot be used, by file, row and field.
TEST_F(PromptsTest, BadDataIsNamed) {
  const std::string grids = R"("output": [[1]]}], "test": [{"input": [[1]]}]})";
  const std::pair<std::string, std::string> cases[] = {
      {"{\"text\": ", "not valid JSON"},
      {R"({"words": "a", "n": 5})", "no known kind of record"},
      {"{\"text\": \"\xff\"}", "not valid UTF-8 at byte offset 10 (byte 0xff)"},
      {R"({"train": [{"input": [[1, 2], [3]], )" + grids,
       "train[0].input row 2: expected 2 cells as in row 1, found 1"},
      {R"({"train": [{"input": [["x"]], )" + grids,
       "train[0].input row 1 cell 1: expected an integer from 0 to 9, found 'x'"},
      {R"({"train": [{"input": [[1, 10]], )" + grids,
       "train[0].input row 1 cell 2: expected an integer from 0 to 9, found 10"},
      {R"({"train": [{"input": [], )" + grids, "train[0].input: expected 1 to 30 rows, found 0"},
      {R"({"train": [], "test": []})", "field 'train': expected a list of at least one"},
      {R"({"token_ids": []})", "field 'token_ids': expected at least one token, found none"},
      {R"({"text": ""})", "field 'text': expected at least one token, found none"},
      {R"({"text": ")" + std::string(100'000'000, 'a') + "\"}",
       "a record of 100000012 bytes is longer than the limit of 67108864"},
  };
  std::string text;
  for (const auto& [record, reason] : cases) text += record + "\n";
  WriteFile(Dataset(), text);
  const std::vector<Json> lines = Shown({"--count", "100"}, 3);
  ASSERT_EQ(lines.size(), std::size(cases));
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string reason = lines[i].at("rejected");
    EXPECT_TRUE(reason.starts_with(fmt::format("{}:{}: ", Dataset(), i + 1))) << reason;
    EXPECT_THAT(reason, HasSubstr(cases[i].second));
  }
  EXPECT_THAT(Shown({"--column", "word", "--sample", "1"}, 3)[0].at("rejected"),
              HasSubstr("field 'word' (--column) does not exist; the fields are 'n', 'words'"));
}

TEST_F(PromptsTest, ExtractStoresWhatPromptsShows) {
  AddWeights();
  const Texts settings = {"--variants",       "3",
                          "--seed",           "5",
                          "--prompt-end",     "prefix:```grid\\n",
                          "--tokens",         "assistant",
                          "--exclude-tokens", "special",
                          "--grid-encoder",   "shape(minimal)"};
  const ProcessResult extracted = Extract(settings);
  ASSERT_EQ(extracted.exit_status, 0) << extracted.Describe();
  const Result<RunContent> run = ReadRun(Output());
  ASSERT_TRUE(run.ok()) << run.status().message();
  EXPECT_EQ(run->run.spec.prompts.settings.at("augment"), "flip,rotate,colors,order");
  EXPECT_EQ(run->run.spec.prompts.settings.at("variants"), "3");
  const std::map<int64_t, SampleContent> samples = run->Samples();
  ASSERT_EQ(samples.size(), 9u);
  Texts flags = settings;
  flags.insert(flags.end(), {"--sample", "0", "--count", "9"});
  for (const Json& line : Shown(flags)) {
    std::vector<int64_t> stored;
    for (const Json& token : line.at("stored_tokens")) {
      stored.push_back(line.at("token_ids").at(token.get<size_t>()));
    }
    EXPECT_EQ(samples.at(line.at("sample")).token_ids, stored) << line;
    EXPECT_FALSE(stored.empty());
  }
  const ProcessResult verified = RunProcess(Thresher({"verify", Output()}));
  EXPECT_EQ(verified.exit_status, 0) << verified.Describe();
}

TEST_F(PromptsTest, ABadSampleEndsTheWorkerOnlyIfAskedTo) {
  AddWeights();
  WriteFile(Dataset(), "{\"token_ids\": [1, 2]}\n{\"token_ids\": [1, 512]}\n");
  const ProcessResult failed = Extract({"--on-bad-sample", "fail"});
  ExpectRefused(failed, "sample 1 cannot be used (--on-bad-sample fail): ", 1);
  EXPECT_THAT(failed.err, HasSubstr("tasks.jsonl:2: field 'token_ids'[1]: expected an integer from "
                                    "0 to 511"));
  const Result<RunContent> nothing = ReadRun(Output());
  ASSERT_TRUE(nothing.ok()) << nothing.status().message();
  EXPECT_TRUE(nothing->units.empty());
  // It is no part of the run's identity: the same run goes on.
  const ProcessResult skipped = Extract({"--on-bad-sample", "skip"});
  EXPECT_EQ(skipped.exit_status, 3) << skipped.Describe();
  EXPECT_EQ(ReadRun(Output())->Rejected().size(), 1u);
}

TEST_F(PromptsTest, SettingsThatCannotBeUsedAreWrongUsage) {
  AddWeights();
  const std::pair<Texts, std::string> cases[] = {
      {{"--prompt", "none"}, "--prompt: expected the file of a Jinja template that exists, or"},
      {{"--prompt-end", "x"}, "--prompt-end: expected user, assistant, answer, or prefix:TEXT"},
      {{"--grid-encoder", "x("}, "--grid-encoder: grid encoder 'x('"},
      {{"--variants", "-1"}, "--variants: expected a number from 1 to 1000000, found -1"},
      {{"--augment", "x"}, "--augment: expected none, or a list of flip"},
      {{"--augment", "flip", "--prompt", "code-from-examples"}, "--augment flip: flip, rotate and"},
      {{"--seed", "x"}, "--seed"},
      {{"--tokens", "x"}, "--tokens: expected all, last, assistant"},
      {{"--tokens", "every:0"}, "--tokens: every: expected a whole number from 1, found '0'"},
      {{"--exclude-tokens", "x"}, "--exclude-tokens: expected none, bos or special, found 'x'"},
      {{"--documents", "x"}, "--documents: "},
      {{"--overlong", "x"}, "--overlong: expected truncate, reject or split, found 'x'"},
      {{"--overlap", "2"}, "--overlap 2: only the sequences of a split sample overlap"},
      {{"--overlong", "split", "--overlap", "9", "--max-tokens", "9"},
       "--overlap: expected a number from 0 to 8"},
      {{"--on-bad-sample", "x"}, "--on-bad-sample: expected skip or fail, found 'x'"},
  };
  for (const auto& [flags, part] : cases) {
    const ProcessResult result = Extract(flags);
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_FALSE(std::filesystem::exists(Output() + "/run.json"));
  }
  ExpectRefused(Extract({"--variants", "3", "--augment", "none"}),
                "--variants 3: with --augment none they would all be the same");
  ExpectRefused(RunProcess(Thresher(
                    {"prompts", "--model", folder_.path() + "/nowhere", "--dataset", Dataset()})),
                "--model: there is no folder " + folder_.path() + "/nowhere", 1);
  WriteFile(Dataset(), "{\"text\": \"a\"}\n");
  ExpectRefused(Extract({"--variants", "2"}), "--variants 2: only ARC tasks have variants");
  ExpectRefused(Extract({"--augment", "order"}), "--augment order: only ARC tasks can be changed");
}

}  // namespace
}  // namespace thresher
