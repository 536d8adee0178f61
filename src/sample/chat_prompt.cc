#include "sample/chat_prompt.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace thresher {
namespace {

constexpr std::string_view kAssistant = "assistant";

// The first `count` messages.
Result<std::string> RenderFirst(const ChatTemplate& chat_template,
                                const std::vector<ChatMessage>& messages, size_t count,
                                bool add_opening) {
  std::string json = "[";
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) json += ",";
    json += messages[i].json;
  }
  json += "]";
  return chat_template.Render(json, add_opening);
}

// The length of the first `count` messages inside the whole text.
Result<int64_t> LengthOfFirst(const ChatTemplate& chat_template,
                              const std::vector<ChatMessage>& messages, size_t count,
                              const std::string& whole) {
  const Result<std::string> text =
      RenderFirst(chat_template, messages, count, /*add_opening=*/false);
  if (text.ok() && whole.starts_with(*text)) return static_cast<int64_t>(text->size());
  return InvalidArgument(fmt::format(
      "--tokens assistant: the assistant's turns cannot be found, because the chat template "
      "renders the first {} of {} messages {}; use --tokens after:MARKER",
      count, messages.size(),
      text.ok() ? "in another way when more follow" : "with an error: " + text.status().message()));
}

Result<std::vector<ByteRange>> AssistantTurns(const ChatTemplate& chat_template,
                                              const std::vector<ChatMessage>& messages,
                                              const std::string& whole, bool has_opening) {
  std::vector<ByteRange> turns;
  const auto whole_size = static_cast<int64_t>(whole.size());
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != kAssistant) continue;
    ASSIGN_OR_RETURN(const int64_t begin, LengthOfFirst(chat_template, messages, i, whole));
    ASSIGN_OR_RETURN(const int64_t end, LengthOfFirst(chat_template, messages, i + 1, whole));
    turns.push_back({begin, end});
  }
  if (!has_opening) return turns;
  ASSIGN_OR_RETURN(const int64_t begin,
                   LengthOfFirst(chat_template, messages, messages.size(), whole));
  turns.push_back({begin, whole_size});
  return turns;
}

}  // namespace

ChatMessage MakeMessage(const std::string& role, const std::string& content) {
  return {role, nlohmann::json{{"role", role}, {"content", content}}.dump()};
}

Result<PromptText> RenderConversation(const ChatTemplate& chat_template,
                                      const std::vector<ChatMessage>& messages,
                                      const PromptEnd& end, bool find_assistant_turns) {
  using Kind = PromptEnd::Kind;
  const bool is_answered = messages.back().role == kAssistant;
  if (end.kind == Kind::kAnswer && !is_answered) {
    return InvalidArgument(
        "--prompt-end answer: the answer is not known: the last message is not the assistant's");
  }
  if (end.kind == Kind::kPrefix && is_answered) {
    return InvalidArgument(
        "--prompt-end prefix: the last message is the assistant's, so that no answer begins");
  }
  const bool has_opening =
      end.kind == Kind::kPrefix || (end.kind == Kind::kAssistant && !is_answered);
  PromptText prompt;
  ASSIGN_OR_RETURN(prompt.text, RenderFirst(chat_template, messages, messages.size(), has_opening));
  prompt.text += end.prefix;
  if (find_assistant_turns) {
    ASSIGN_OR_RETURN(prompt.assistant_turns,
                     AssistantTurns(chat_template, messages, prompt.text, has_opening));
  }
  return prompt;
}

}  // namespace thresher
