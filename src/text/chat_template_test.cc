#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

constexpr std::string_view kHi = R"([{"role": "user", "content": "Hi"}])";

// What the template gives for the messages; an error as "ERROR: message".
std::string Rendered(const std::string& source, std::string_view messages = kHi,
                     const Json& config = Json::object(), bool add_generation_prompt = true) {
  const TemporaryFolder folder;
  folder.Write("chat_template.jinja", source);
  folder.Write("tokenizer_config.json", config.dump());
  const Result<ChatTemplate> chat_template = ChatTemplate::Load(folder.path());
  if (!chat_template.ok()) return "ERROR: " + chat_template.status().message();
  const Result<std::string> text = chat_template->Render(messages, add_generation_prompt);
  return text.ok() ? *text : "ERROR: " + text.status().message();
}

TEST(ChatTemplateTest, ToJsonIsPythonsDumps) {
  constexpr std::string_view kMessages =
      R"([{"z": [1, -2, 1.0, 1e16, 1.5e-05, 0.0001, 123456789012.5], "a": {"k": null, "t": true},
           "s": "<é&'\"\\\n\u0001\u007f😀>", "e": [], "o": {}}])";
  EXPECT_EQ(Rendered("{{ messages[0] | tojson }}", kMessages),
            "{\"z\": [1, -2, 1.0, 1e+16, 1.5e-05, 0.0001, 123456789012.5], "
            "\"a\": {\"k\": null, \"t\": true}, "
            "\"s\": \"<é&'\\\"\\\\\\n\\u0001\x7f😀>\", \"e\": [], \"o\": {}}");
  EXPECT_EQ(Rendered("{{ messages[0].s | tojson(ensure_ascii=true) }}", kMessages),
            "\"<\\u00e9&'\\\"\\\\\\n\\u0001\\u007f\\ud83d\\ude00>\"");
  EXPECT_EQ(Rendered("{{ {'a': [1, {'b': 2}], 'c': [], 3: 'x', none: 1.5} | tojson(indent=2) }}"),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": [],\n"
            "  \"3\": \"x\",\n  \"null\": 1.5\n}");
  EXPECT_THAT(Rendered("{{ nothing | tojson }}"), HasSubstr("ERROR: "));
  EXPECT_THAT(Rendered("{{ 1 | tojson(sort_keys=true) }}"), HasSubstr("sort_keys"));
}

TEST(ChatTemplateTest, RaiseExceptionIsInvalidArgumentWithItsMessage) {
  const TemporaryFolder folder;
  folder.Write("chat_template.jinja",
               "{% if messages[0].role != 'user' %}\n"
               "{{ raise_exception('Roles must alternate, found ' + messages[0].role) }}\n"
               "{% endif %}");
  const Result<ChatTemplate> chat_template = ChatTemplate::Load(folder.path());
  ASSERT_TRUE(chat_template.ok());
  EXPECT_TRUE(chat_template->Render(kHi, true).ok());
  const Result<std::string> text = chat_template->Render(R"([{"role": "tool"}])", true);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(text.status().message(), HasSubstr("Roles must alternate, found tool"));
}

TEST(ChatTemplateTest, BlocksAreTrimmedAsHuggingFaceDoes) {
  EXPECT_EQ(Rendered("a\n  {% for m in messages %}\n  {{ m.content }}\n  {% endfor %}\nb\n"),
            "a\n  Hi\nb");
  EXPECT_EQ(Rendered("{%- for m in messages -%}\n x \n{%- endfor -%}"), "x");
}

TEST(ChatTemplateTest, PythonMethodsAndLoopControls) {
  EXPECT_EQ(Rendered("{{ ' x '.strip() }}|{{ 'a,b'.split(',')[1] }}|{{ 'ab'.startswith('a') }}|"
                     "{{ messages[0].get('name', 'none') }}|{{ 'Hi there'.upper() }}|"
                     "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}|"
                     "{{ 'a\\nb'.splitlines() | length }}|{{ 'x'.replace('x', 'y') }}|"
                     "{{ '<think>r</think>t'.split('</think>')[-1] }}"),
            "x|b|True|none|HI THERE|role=user;content=Hi;|2|y|t");
  EXPECT_EQ(Rendered("{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}"
                     "{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"),
            "013");
  EXPECT_EQ(Rendered("{% set ns = namespace(n=0) %}{% for i in range(3) %}"
                     "{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ none }}{{ [1, 'a'] }}"),
            "3None[1, 'a']");
}

TEST(ChatTemplateTest, NothingIsEscapedForHtml) {
  EXPECT_EQ(Rendered("{{ messages[0].content }}", R"([{"content": "<a href='x'>&</a>"}])"),
            "<a href='x'>&</a>");
}

TEST(ChatTemplateTest, VariablesOfHuggingFace) {
  const Json config = {{"bos_token", "<s>"},
                       {"eos_token", {{"content", "</s>"}, {"lstrip", false}}},
                       {"pad_token", nullptr},
                       {"add_bos_token", true}};
  EXPECT_EQ(Rendered("{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}"
                     "{{ add_bos_token is defined }}{{ tools is none }}{{ documents is none }}"
                     "{{ add_generation_prompt }}",
                     kHi, config, false),
            "<s></s>FalseFalseTrueTrueFalse");
}

// The date is part of the prompt: it must be the same on every worker and every day.
TEST(ChatTemplateTest, StrftimeNowStandsStill) {
  EXPECT_EQ(Rendered("{{ strftime_now('%d %b %Y %H:%M:%S') }}|{{ strftime_now('') }}|"
                     "{{ strftime_now('100%%') }}"),
            "26 Jul 2024 00:00:00||100%");
  EXPECT_THAT(Rendered("{{ strftime_now('%c' * 100) }}"), HasSubstr("ERROR: "));
}

TEST(ChatTemplateTest, BrokenTemplatesSayWhere) {
  EXPECT_THAT(Rendered("line\n{% for m in %}"),
              testing::AllOf(HasSubstr("chat_template.jinja"), HasSubstr("chat_template:2")));
  EXPECT_THAT(Rendered("{{ messages[0].content.nosuch() }}"), HasSubstr("nosuch"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "(";
  EXPECT_THAT(Rendered("{{ " + deep), HasSubstr("ERROR: "));
  EXPECT_THAT(Rendered("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), HasSubstr("ERROR: "));
  EXPECT_THAT(Rendered("{% set ns = namespace(v=[]) %}{% for i in range(5000) %}"
                       "{% set ns.v = [ns.v] %}{% endfor %}{{ ns.v | tojson }}"),
              HasSubstr("nested too deep"));
}

TEST(ChatTemplateTest, MessagesThatAreNotAListOfJson) {
  for (const std::string_view messages : {"", "{}", "[", "[1]\xff"}) {
    EXPECT_THAT(Rendered("x", messages), HasSubstr("ERROR: ")) << messages;
  }
  EXPECT_THAT(Rendered("x", std::string(100'000, '[')), HasSubstr("ERROR: "));
}

TEST(ChatTemplateTest, FilesInTheirOrder) {
  const TemporaryFolder folder;
  EXPECT_EQ(ChatTemplate::Load(folder.path()).status().code(), Code::kNotFound);
  folder.Write("tokenizer_config.json", R"({"bos_token": "<s>", "chat_template": null})");
  EXPECT_EQ(ChatTemplate::Load(folder.path()).status().code(), Code::kNotFound);

  folder.Write("tokenizer_config.json", R"({"chat_template": "plain"})");
  EXPECT_EQ(*ChatTemplate::Load(folder.path())->Render(kHi, true), "plain");
  folder.Write("tokenizer_config.json",
               R"({"chat_template": [{"name": "tool_use", "template": "tools"},
                                     {"name": "default", "template": "default"}]})");
  EXPECT_EQ(*ChatTemplate::Load(folder.path())->Render(kHi, true), "default");
  folder.Write("chat_template.jinja", "file");
  EXPECT_EQ(*ChatTemplate::Load(folder.path())->Render(kHi, true), "file");
}

TEST(ChatTemplateTest, BrokenConfigsNameFileAndField) {
  const TemporaryFolder folder;
  for (const std::string config :
       {R"({"chat_template": 5})", R"({"chat_template": [{"name": "x", "template": "y"}]})",
        R"({"chat_template": [1, {"name": 2}]})", "[]", "{", "\xff", ""}) {
    const std::string path = folder.Write("tokenizer_config.json", config);
    const Status status = ChatTemplate::Load(folder.path()).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << config;
    EXPECT_THAT(status.message(), HasSubstr(path));
  }
}

TEST(ChatTemplateTest, FingerprintFollowsTemplateAndTokens) {
  const auto fingerprint = [](const std::string& source, const std::string& config) {
    const TemporaryFolder folder;
    folder.Write("chat_template.jinja", source);
    folder.Write("tokenizer_config.json", config);
    return ChatTemplate::Load(folder.path())->fingerprint();
  };
  const std::string base = fingerprint("a", R"({"bos_token": "<s>", "model_max_length": 1})");
  EXPECT_EQ(base, fingerprint("a", R"({"bos_token": "<s>", "model_max_length": 2})"));
  EXPECT_NE(base, fingerprint("b", R"({"bos_token": "<s>"})"));
  EXPECT_NE(base, fingerprint("a", R"({"bos_token": "<t>"})"));
}

}  // namespace
}  // namespace thresher
