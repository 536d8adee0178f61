#include "text/jinja_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/random.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

// What the template gives for the variables; an error as "ERROR: message".
std::string Rendered(std::string_view source, const Json& context = Json::object()) {
  const Result<JinjaTemplate> compiled = JinjaTemplate::Compile(source, "my_prompt.jinja");
  if (!compiled.ok()) return "ERROR: " + compiled.status().message();
  const Result<std::string> text = compiled->Render(context.dump());
  if (text.ok()) return *text;
  EXPECT_EQ(text.status().code(), Code::kInvalidArgument);
  return "ERROR: " + text.status().message();
}

TEST(JinjaTemplateTest, WritesVariables) {
  EXPECT_EQ(Rendered("{{ a }} and {{ b.c[1] }}", {{"a", "x <&> y"}, {"b", {{"c", {1, 2}}}}}),
            "x <&> y and 2");
}

TEST(JinjaTemplateTest, EscapesNothingWhateverItsName) {
  const Result<JinjaTemplate> compiled = JinjaTemplate::Compile("{{ a }}", "page.html");
  ASSERT_TRUE(compiled.ok());
  EXPECT_EQ(*compiled->Render(R"({"a": "<b>"})"), "<b>");
}

TEST(JinjaTemplateTest, BlocksTakeTheirLinesWithThem) {
  EXPECT_EQ(Rendered("A\n  {% if true %}\nB\n  {% endif %}\nC"), "A\nB\nC");
}

TEST(JinjaTemplateTest, HasPythonsMethodsAndJson) {
  EXPECT_EQ(Rendered("{{ a.strip().upper() }}|{{ b | tojson }}|{{ b.items() | list | length }}",
                     {{"a", " hi "}, {"b", {{"k", {1, 0.5}}}}}),
            R"(HI|{"k": [1, 0.5]}|1)");
}

TEST(JinjaTemplateTest, AnUndefinedVariableIsAnErrorWithPlaceAndName) {
  EXPECT_EQ(Rendered("one\n\n{{ question }}"),
            "ERROR: my_prompt.jinja:3: undefined value: `question` is undefined");
  EXPECT_THAT(Rendered("{% if question %}x{% endif %}"), StartsWith("ERROR: my_prompt.jinja:1: "));
  EXPECT_THAT(Rendered("{{ a.b.c }}", {{"a", Json::object()}}),
              StartsWith("ERROR: my_prompt.jinja:1: undefined value"));
  EXPECT_EQ(Rendered("{{ question is defined }}"), "False");
  EXPECT_EQ(Rendered("{{ question | default('none') }}"), "none");
}

TEST(JinjaTemplateTest, ErrorsNameTheLine) {
  EXPECT_THAT(Rendered("a\nb\n{% if %}"), StartsWith("ERROR: my_prompt.jinja:3: syntax error"));
  EXPECT_THAT(Rendered("a\n{{ x | nosuchfilter }}", {{"x", 1}}),
              StartsWith("ERROR: my_prompt.jinja:2: "));
  EXPECT_THAT(Rendered("a\n{{ raise_exception('no rows') }}"),
              testing::AllOf(StartsWith("ERROR: my_prompt.jinja:2: "), HasSubstr("no rows")));
  EXPECT_THAT(Rendered("{{ strftime_now('%Y') }}"), StartsWith("ERROR: my_prompt.jinja:1: "));
  EXPECT_THAT(Rendered("{% include 'other' %}"), StartsWith("ERROR: my_prompt.jinja:1: "));
}

TEST(JinjaTemplateTest, BadTextAndBadContextAreErrors) {
  const Result<JinjaTemplate> bad = JinjaTemplate::Compile("ab\xff", "my_prompt.jinja");
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(bad.status().message(), StartsWith("my_prompt.jinja: "));
  EXPECT_THAT(Rendered("x", Json::array()),
              StartsWith("ERROR: my_prompt.jinja: the context is no JSON object"));
}

TEST(JinjaTemplateTest, WorkIsBounded) {
  for (const char* const source : {
           "{% for i in range(10**9) %}x{% endfor %}",
           "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
           "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
           "{% set n = namespace(a='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}"
           "{% set n.a = n.a ~ n.a %}{% endfor %}",
           "{{ 'x' * 10**12 }}",
           "{% for i in range(99999) %}{{ 'xxxxxxxxxx' * 9999 }}{% endfor %}",
       }) {
    EXPECT_THAT(Rendered(source), StartsWith("ERROR: my_prompt.jinja:1: ")) << source;
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "(";
  EXPECT_THAT(Rendered("{{ " + deep + " }}"), StartsWith("ERROR: my_prompt.jinja:1: "));
}

TEST(JinjaTemplateTest, ManyThreadsShareOne) {
  const Result<JinjaTemplate> compiled =
      JinjaTemplate::Compile("{% for x in a %}{{ x }},{% endfor %}", "t");
  ASSERT_TRUE(compiled.ok());
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      const std::string id = std::to_string(t);
      for (int i = 0; i < 100; ++i) {
        const Result<std::string> text = compiled->Render(R"({"a": [1, )" + id + "]}");
        wrong[t] += !text.ok() || *text != "1," + id + ",";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

// Random pieces of Jinja in random order: an error or a text, never a crash.
TEST(JinjaTemplateTest, FuzzedTemplates) {
  const std::vector<std::string> pieces = {
      "{{",     "}}",   "{%",  "%}",      "{#",   "#}",    " for ", "i in a",  " endfor ", " if ",
      " else ", "a",    "b.c", " | list", "[0:]", "(",     ")",     "'x'",     "1",        " ~ ",
      " * ",    " set", "=",   "\n",      "-",    "macro", " f()",  "\xc3\xa9"};
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string source;
    for (uint64_t i = random.Below(12); i > 0; --i) source += pieces[random.Below(pieces.size())];
    Rendered(source, {{"a", {1, "two"}}, {"b", {{"c", "d"}}}});
  }
}

}  // namespace
}  // namespace thresher
