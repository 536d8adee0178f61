#include "sample/chat_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Kind = PromptEnd::Kind;

constexpr const char* kTemplate =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

ChatTemplate Template(const std::string& text = kTemplate) {
  const TemporaryFolder folder;
  folder.Write("chat_template.jinja", text);
  return *ChatTemplate::Load(folder.path());
}

PromptText Rendered(const std::vector<ChatMessage>& messages, const PromptEnd& end,
                    const ChatTemplate& chat_template = Template()) {
  const Result<PromptText> prompt = RenderConversation(chat_template, messages, end, true);
  if (prompt.ok()) return *prompt;
  return {.text = "ERROR: " + prompt.status().message()};
}

const std::vector<ChatMessage> kQuestion = {MakeMessage("user", "Hi \"é\"")};
const std::vector<ChatMessage> kAnswered = {MakeMessage("user", "Q"),
                                            MakeMessage("assistant", "A")};

TEST(ChatPromptTest, WhereAQuestionEnds) {
  EXPECT_EQ(Rendered(kQuestion, {Kind::kUser, ""}).text, "<user>Hi \"é\"</>");
  EXPECT_EQ(Rendered(kQuestion, {Kind::kAssistant, ""}).text, "<user>Hi \"é\"</><assistant>");
  EXPECT_EQ(Rendered(kQuestion, {Kind::kPrefix, "So\n"}).text, "<user>Hi \"é\"</><assistant>So\n");
  EXPECT_EQ(Rendered(kQuestion, {Kind::kAnswer, ""}).text,
            "ERROR: --prompt-end answer: the answer is not known: the last message is not the "
            "assistant's");
}

TEST(ChatPromptTest, WhereAnAnsweredConversationEnds) {
  const std::string whole = "<user>Q</><assistant>A</>";
  EXPECT_EQ(Rendered(kAnswered, {Kind::kUser, ""}).text, whole);
  EXPECT_EQ(Rendered(kAnswered, {Kind::kAssistant, ""}).text, whole);
  EXPECT_EQ(Rendered(kAnswered, {Kind::kAnswer, ""}).text, whole);
  EXPECT_THAT(Rendered(kAnswered, {Kind::kPrefix, "So"}).text,
              HasSubstr("--prompt-end prefix: the last message is the assistant's"));
}

TEST(ChatPromptTest, TurnsOfTheAssistant) {
  std::vector<ChatMessage> messages = kAnswered;
  messages.push_back(MakeMessage("user", "R"));
  const PromptText prompt = Rendered(messages, {Kind::kPrefix, "So"});
  EXPECT_EQ(prompt.text, "<user>Q</><assistant>A</><user>R</><assistant>So");
  ASSERT_EQ(prompt.assistant_turns.size(), 2u);
  const auto turn = [&](size_t i) {
    const ByteRange& range = prompt.assistant_turns[i];
    return prompt.text.substr(static_cast<size_t>(range.begin),
                              static_cast<size_t>(range.end - range.begin));
  };
  EXPECT_EQ(turn(0), "<assistant>A</>");
  EXPECT_EQ(turn(1), "<assistant>So");
  EXPECT_THAT(Rendered(kQuestion, {Kind::kUser, ""}).assistant_turns, ElementsAre());
}

TEST(ChatPromptTest, TurnsThatCannotBeFound) {
  // Says how many messages there are before the first.
  const ChatTemplate counting = Template("{{ messages | length }}" + std::string(kTemplate));
  EXPECT_EQ(Rendered(kAnswered, {Kind::kAssistant, ""}, counting).text,
            "ERROR: --tokens assistant: the assistant's turns cannot be found, because the chat "
            "template renders the first 1 of 2 messages in another way when more follow; use "
            "--tokens after:MARKER");
  const ChatTemplate strict =
      Template("{% if messages[0].role != 'user' %}{{ raise_exception('no user') }}{% endif %}x");
  EXPECT_THAT(Rendered({MakeMessage("assistant", "A")}, {Kind::kAssistant, ""}, strict).text,
              HasSubstr("ERROR: chat template: "));
  const ChatTemplate needs_two =
      Template("{% if messages | length < 2 %}{{ raise_exception('too short') }}{% endif %}x");
  EXPECT_THAT(Rendered(kAnswered, {Kind::kAssistant, ""}, needs_two).text,
              HasSubstr("renders the first 1 of 2 messages with an error: chat template: "));
}

}  // namespace
}  // namespace thresher
