#include "arc/arc_prompt.h"

#include <gtest/gtest.h>

#include <span>

#include "base/fingerprint.h"

namespace thresher {
namespace {

ArcTask SmallTask() {
  const ArcGrid wide = {.rows = 1, .columns = 3, .cells = {0, 1, 9}};
  const ArcGrid tall = {.rows = 2, .columns = 1, .cells = {7, 8}};
  return {.train = {{.input = wide, .output = tall}, {.input = tall, .output = wide}},
          .test = {{.input = wide, .output = tall}, {.input = tall, .output = wide}}};
}

TEST(ArcPromptTest, ExamplesThenTheFirstTestInput) {
  const std::string prompt = ArcPrompt(SmallTask());
  const size_t examples = prompt.find("\nExample 1\n");
  ASSERT_NE(examples, prompt.npos);
  EXPECT_EQ(prompt.substr(examples),
            "\nExample 1\n"
            "Input:\n```grid\n019\n```\n"
            "Output:\n```grid\n7\n8\n```\n"
            "\nExample 2\n"
            "Input:\n```grid\n7\n8\n```\n"
            "Output:\n```grid\n019\n```\n"
            "\nTest\n"
            "Input:\n```grid\n019\n```\n");
}

TEST(ArcPromptTest, TheAnswerIsNotGivenAway) {
  ArcTask task = SmallTask();
  const std::string prompt = ArcPrompt(task);
  task.test[0].output.reset();
  EXPECT_EQ(ArcPrompt(task), prompt);
}

// The text of a published name never changes: a failure here means that it needs a new name.
TEST(ArcPromptTest, TextBelongsToItsName) {
  EXPECT_EQ(kArcPromptName, "arc-v1");
  const std::string prompt = ArcPrompt(SmallTask());
  EXPECT_EQ(FingerprintOf(std::as_bytes(std::span(prompt))),
            "xxh3-128:8f4ac052c9163a06098ebc883ddd988a");
}

}  // namespace
}  // namespace thresher
