#include "sample/arc_prompter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "base/fingerprint.h"
#include "sample/augment_setting.h"

namespace thresher {
namespace {

using testing::HasSubstr;

// Three training pairs, so that their order can change; the program is not meant to be right.
ArcContent SmallContent() {
  const ArcGrid wide = {.rows = 1, .columns = 3, .cells = {0, 1, 9}};
  const ArcGrid tall = {.rows = 2, .columns = 1, .cells = {7, 8}};
  ArcContent content;
  content.task = {.train = {{.input = wide, .output = tall}, {.input = tall, .output = wide}},
                  .test = {{.input = wide, .output = tall}, {.input = tall, .output = wide}}};
  content.code = "def solve(grid):\n    return grid";
  return content;
}

SampleSettings Settings(const std::string& prompt) {
  SampleSettings settings;
  settings.prompt = prompt;
  return settings;
}

SampleSettings TemplateSettings(const std::string& text) {
  SampleSettings settings;
  settings.prompt = "my.jinja";
  settings.prompt_template = text;
  return settings;
}

ArcPrompter Prompter(const SampleSettings& settings) {
  Result<ArcPrompter> prompter = ArcPrompter::Create(settings);
  EXPECT_TRUE(prompter.ok()) << prompter.status().message();
  return *std::move(prompter);
}

// The prompt with its answer; an error as its message.
ArcPrompter::Prompt Made(const SampleSettings& settings, const ArcContent& content,
                         int64_t variant = 0, bool with_answer = true) {
  const Result<ArcPrompter::Prompt> made = Prompter(settings).Make(
      {.content = content, .task_id = "t", .variant = variant, .with_answer = with_answer});
  if (made.ok()) return *made;
  return {.text = made.status().message(), .answer = ""};
}

std::string FingerprintOfText(const std::string& text) {
  return FingerprintOf(std::as_bytes(std::span(text)));
}

TEST(ArcPrompterTest, ExamplesThenTheFirstTestInput) {
  const auto [text, answer] = Made(Settings("output-from-examples"), SmallContent());
  EXPECT_EQ(
      text,
      "Below is a puzzle about grids of coloured cells. Each digit from 0 to 9 stands for one "
      "colour. In every example, one and the same hidden rule turns the input grid into the "
      "output grid. Find the rule, then apply it to the test input. Answer with the output "
      "grid only, in a block that opens with ```grid and closes with ```, one row per line "
      "and no spaces between the digits.\n"
      "\nExample 1\n"
      "Input:\n```grid\n019\n```\n"
      "Output:\n```grid\n7\n8\n```\n"
      "\nExample 2\n"
      "Input:\n```grid\n7\n8\n```\n"
      "Output:\n```grid\n019\n```\n"
      "\nTest\n"
      "Input:\n```grid\n019\n```\n");
  EXPECT_EQ(answer, "```grid\n7\n8\n```");
}

// Stored activations belong to one text: a built-in prompt never changes, so a failure here means
// that the changed one needs a new name. The first is that of the prompt once called "arc-v1".
TEST(ArcPrompterTest, TextsBelongToTheirNames) {
  const std::map<std::string, std::pair<std::string, std::string>> expected = {
      {"output-from-examples", {"xxh3-128:8f4ac052c9163a06098ebc883ddd988a", "```grid\n7\n8\n```"}},
      {"inputs", {"xxh3-128:659d00a5e406728282f4e72e7975b3b3", "```grid\n019\n```"}},
      {"output-from-outputs", {"xxh3-128:d377a35f18df370737c9e0e3b83ab665", "```grid\n7\n8\n```"}},
      {"code-from-examples",
       {"xxh3-128:f01379a6f6b400077da8e9f4493f975c",
        "```python\ndef solve(grid):\n    return grid\n```"}},
      {"output-from-code", {"xxh3-128:be77a12bb2dd7a0a9f9b1b712373103a", "```grid\n7\n8\n```"}},
      {"select-output", {"xxh3-128:f4919389f1c4de37d8cf133adc02e306", "2"}},
      {"verify-output", {"xxh3-128:666a582a7448f12a0d9c42e927a971bf", "no"}},
  };
  EXPECT_EQ(BuiltInPrompts().size(), expected.size());
  for (const BuiltInPrompt& prompt : BuiltInPrompts()) {
    const std::string name(prompt.name);
    SCOPED_TRACE(name);
    ASSERT_TRUE(expected.contains(name));
    const ArcPrompter::Prompt made = Made(Settings(name), SmallContent());
    EXPECT_EQ(FingerprintOfText(made.text), expected.at(name).first) << made.text;
    EXPECT_EQ(made.answer, expected.at(name).second);
    EXPECT_FALSE(PromptDescription(prompt.text).empty());
    EXPECT_EQ(made.text.find("{"), made.text.npos);
  }
}

TEST(ArcPrompterTest, TheAnswerIsNotGivenAway) {
  for (const std::string name : {"output-from-examples", "inputs", "output-from-outputs",
                                 "code-from-examples", "output-from-code"}) {
    ArcContent content = SmallContent();
    const std::string text = Made(Settings(name), content, 0, false).text;
    if (name == "inputs") content.task.test[0].input.cells = {4, 5, 6};
    if (name == "code-from-examples") content.code = "other";
    content.task.test[0].output.reset();
    EXPECT_EQ(Made(Settings(name), content, 0, false).text, text) << name;
  }
}

TEST(ArcPrompterTest, OtherEncodersOtherInstructions) {
  SampleSettings settings = Settings("output-from-examples");
  settings.grid_encoder = "RowNumberEncoder(MinimalGridEncoder())";
  const auto [text, answer] = Made(settings, SmallContent());
  EXPECT_THAT(text, HasSubstr("grid only, written as the grids here are.\n\nExample 1\nInput:\n1 "
                              "019\nOutput:\n1 7\n2 8\n\nExample 2"));
  EXPECT_EQ(answer, "1 7\n2 8");
}

TEST(ArcPrompterTest, VariablesOfATemplate) {
  const SampleSettings settings = TemplateSettings(
      "{{ task_id }} {{ variant }} {{ grid_encoder }} {{ task.train | length }} {{ test | length "
      "}}\n"
      "{{ task.train[1].input_grid }} {{ task.train[1].output_grid[0][2] }}\n"
      "{{ test[1].output }}|{{ code | length }}\n"
      "{% for c in candidates %}{{ c.output_grid }}{% endfor %} {{ right }}\n");
  const std::string text = Made(settings, SmallContent(), 4, false).text;
  EXPECT_THAT(text, testing::StartsWith("t 4 GridCodeBlockEncoder(MinimalGridEncoder()) 2 2\n"
                                        "[[7], [8]] 9\n```grid\n019\n```|32\n[["));
  EXPECT_THAT(text, HasSubstr("[[7], [8]]"));
}

TEST(ArcPrompterTest, CandidatesAreOneRightAndOneWrongInEitherOrder) {
  const SampleSettings settings = TemplateSettings(
      "{{ candidates[0].output_grid }}/{{ candidates[1].output_grid }}/{{ right }}");
  int right_first = 0;
  for (int64_t variant = 0; variant < 200; ++variant) {
    const std::string text = Made(settings, SmallContent(), variant, false).text;
    EXPECT_EQ(text, Made(settings, SmallContent(), variant, false).text);
    const size_t slash = text.find('/');
    const std::string candidates[] = {text.substr(0, slash),
                                      text.substr(slash + 1, text.size() - slash - 3)};
    const int right = text.back() - '0';
    ASSERT_EQ(candidates[right], "[[7], [8]]");
    ASSERT_NE(candidates[1 - right], "[[7], [8]]");
    right_first += right == 0;
  }
  EXPECT_GT(right_first, 60);
  EXPECT_LT(right_first, 140);
}

TEST(ArcPrompterTest, VariantsAreAugmented) {
  SampleSettings settings = TemplateSettings("{{ task.train[0].input_grid }}");
  settings.augment = "rotate,colors";
  settings.seed = 12;
  for (int64_t variant = 0; variant < 20; ++variant) {
    const ArcContent content = SmallContent();
    const ArcTask expected =
        Augment(content.task, {.rotate = true, .colors = true}, 12, "t", variant);
    nlohmann::json rows = nlohmann::json::array();
    const ArcGrid& grid = expected.train[0].input;
    for (int row = 0; row < grid.rows; ++row) {
      rows.push_back(nlohmann::json::array());
      for (int column = 0; column < grid.columns; ++column) {
        rows.back().push_back(grid.At(row, column));
      }
    }
    EXPECT_EQ(nlohmann::json::parse(Made(settings, content, variant, false).text), rows);
  }
}

TEST(ArcPrompterTest, WhatTheRecordDoesNotHave) {
  ArcContent content = SmallContent();
  content.code.reset();
  content.why_no_code = "no program here";
  EXPECT_THAT(Made(Settings("output-from-code"), content).text,
              testing::MatchesRegex("prompt 'output-from-code': output-from-code:6: undefined "
                                    "value: .*; no program here"));
  EXPECT_THAT(
      Made(Settings("code-from-examples"), content, 0, true).text,
      testing::MatchesRegex("--prompt-end answer: the answer to prompt 'code-from-examples' "
                            "is not known: code-from-examples:18: .*; no program here"));
  content.task.test[0].output.reset();
  for (const std::string name : {"select-output", "verify-output"}) {
    EXPECT_THAT(Made(Settings(name), content).text,
                HasSubstr("; the record has no output of its first test pair"));
  }
  EXPECT_EQ(
      Made(TemplateSettings("{{ test[0].input }}"), content).text,
      "--prompt-end answer: the answer to prompt 'my.jinja' is not known: the template says "
      "no answer: give it after a line that is exactly {# answer #}; the record has no output "
      "of its first test pair")
      << "no word of the program: the template does not show one";
}

TEST(ArcPrompterTest, WrongSettings) {
  const auto error = [](const SampleSettings& settings) {
    const Result<ArcPrompter> made = ArcPrompter::Create(settings);
    return made.ok() ? "none" : made.status().message();
  };
  EXPECT_THAT(error(Settings("nothing")),
              HasSubstr("--prompt: expected the file of a Jinja template that exists, or one of "
                        "code-from-examples, inputs, output-from-code, output-from-examples, "
                        "output-from-outputs, select-output, verify-output; found 'nothing'"));
  EXPECT_THAT(error(TemplateSettings("a\n{% if %}")), HasSubstr("--prompt: my.jinja:2: "));
  EXPECT_THAT(error(TemplateSettings("a\n{# answer #}\nb\n{{ ")), HasSubstr("my.jinja:4: "));
  SampleSettings settings;
  settings.grid_encoder = "Grid(";
  EXPECT_THAT(error(settings), HasSubstr("--grid-encoder: grid encoder 'Grid('"));
  settings = {};
  for (const std::string wrong : {"", "flip,", ",flip", "Flip", "flip,none", "flip rotate"}) {
    settings.augment = wrong;
    EXPECT_EQ(error(settings),
              "--augment: expected none, or a list of flip, rotate, colors, order and swap with "
              "commas between, found '" +
                  wrong + "'");
  }
  settings = Settings("output-from-code");
  settings.augment = "colors,order";
  EXPECT_EQ(error(settings),
            "--augment colors,order: flip, rotate and colors change the grids and not the program "
            "that prompt 'output-from-code' shows; use order, swap or none");
  settings.augment = "order,swap";
  EXPECT_EQ(error(settings), "none");
}

TEST(AugmentSettingTest, OneFormForWhatIsTheSame) {
  EXPECT_EQ(AugmentSetting(*ParseAugmentSetting("none")), "none");
  EXPECT_EQ(AugmentSetting(*ParseAugmentSetting("swap,flip,flip")), "flip,swap");
  EXPECT_EQ(AugmentSetting(*ParseAugmentSetting("order,colors,rotate,swap,flip")),
            "flip,rotate,colors,order,swap");
}

}  // namespace
}  // namespace thresher
