#include "sample/prompt_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

using testing::HasSubstr;

TEST(PromptTemplateTest, PromptAndAnswer) {
  const Result<PromptTemplate> compiled =
      PromptTemplate::Compile("{# About. #}\nQ {{ a }}?\n{# answer #}\nA {{ b }}!\n", "p");
  ASSERT_TRUE(compiled.ok());
  EXPECT_EQ(*compiled->RenderPrompt(R"({"a": 1})"), "Q 1?");
  EXPECT_EQ(*compiled->RenderAnswer(R"({"b": 2})"), "A 2!");
  EXPECT_THAT(compiled->RenderAnswer(R"({"a": 1})").status().message(), HasSubstr("p:4: "));
}

TEST(PromptTemplateTest, LineEndsOfOtherSystems) {
  const Result<PromptTemplate> compiled =
      PromptTemplate::Compile("Q\r\n{# answer #}\r\nA\r\n", "p");
  ASSERT_TRUE(compiled.ok());
  EXPECT_THAT(*compiled->RenderPrompt("{}"), testing::StartsWith("Q"));
  EXPECT_THAT(*compiled->RenderAnswer("{}"), HasSubstr("A"));
}

TEST(PromptTemplateTest, WithoutAnAnswer) {
  for (const std::string text : {"Q", "Q {# answer #}", " {# answer #}\nA", "Q\n{# answer #}x"}) {
    const Result<PromptTemplate> compiled = PromptTemplate::Compile(text, "p");
    ASSERT_TRUE(compiled.ok());
    EXPECT_THAT(compiled->RenderAnswer("{}").status().message(),
                HasSubstr("the template says no answer"));
  }
  EXPECT_EQ(*PromptTemplate::Compile("", "p")->RenderPrompt("{}"), "");
}

TEST(PromptTemplateTest, Description) {
  EXPECT_EQ(PromptDescription("{# What it asks #}\ntext"), "What it asks");
  EXPECT_EQ(PromptDescription("{#- What it asks -#}"), "What it asks");
  EXPECT_EQ(PromptDescription("{##}"), "");
  EXPECT_EQ(PromptDescription("{# two\nlines #}"), "");
  EXPECT_EQ(PromptDescription("text {# a #}"), "");
  EXPECT_EQ(PromptDescription(""), "");
}

TEST(PromptTemplateTest, PromptUsesAnIdentifierInsideABlock) {
  EXPECT_TRUE(PromptUses("a {{ code }}", "code"));
  EXPECT_TRUE(PromptUses("{% if code %}", "code"));
  EXPECT_TRUE(PromptUses("{{a}}{{x.y+code|upper}}", "code"));
  EXPECT_TRUE(PromptUses("{{ code", "code"));
  EXPECT_FALSE(PromptUses("code {{ a }} code {# code #}", "code"));
  EXPECT_FALSE(PromptUses("{{ barcode }} {{ code_b }} {{ code2 }}", "code"));
  EXPECT_FALSE(PromptUses("{", "code"));
  EXPECT_FALSE(PromptUses("", "code"));
}

TEST(PromptTemplateTest, FilesAndNames) {
  const TemporaryFolder folder;
  SampleSettings settings;
  settings.prompt = folder.Write("mine.jinja", "Hi {{ code }}");
  ASSERT_TRUE(LoadPromptFile(settings).ok());
  EXPECT_EQ(settings.prompt, "mine.jinja");
  EXPECT_EQ(settings.prompt_template, "Hi {{ code }}");
  settings = {};
  ASSERT_TRUE(LoadPromptFile(settings).ok());
  EXPECT_EQ(settings, SampleSettings());
  const auto error = [&](const std::string& prompt) {
    settings.prompt = prompt;
    return LoadPromptFile(settings).message();
  };
  EXPECT_THAT(error(folder.path()), HasSubstr("--prompt: expected the file of a Jinja template"));
  EXPECT_THAT(error("absent.jinja"), HasSubstr("found 'absent.jinja'"));
  EXPECT_THAT(error(folder.Write("empty", "")), HasSubstr("is empty"));
  EXPECT_THAT(error(folder.Write("binary", "a\xff")),
              HasSubstr("not valid UTF-8 at byte offset 1"));
  EXPECT_THAT(error(folder.Write("large", std::string((1 << 20) + 1, 'a'))),
              HasSubstr("more than the limit of 1048576"));
}

}  // namespace
}  // namespace thresher
