#ifndef THRESHER_TEXT_CHAT_TEMPLATE_H_
#define THRESHER_TEXT_CHAT_TEMPLATE_H_

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

// A model's chat template (Jinja), rendered as Hugging Face's apply_chat_template does, but for the
// date: strftime_now always tells 26 July 2024, 00:00 UTC, so that a sample gives the same tokens
// on every worker and every day. Immutable; thread-safe.
class ChatTemplate {
 public:
  // Reads chat_template.jinja, else "chat_template" of tokenizer_config.json (a string, or a list
  // of named templates of which "default" is taken), and the special tokens it refers to. kNotFound
  // if the model has no chat template.
  static Result<ChatTemplate> Load(const std::string& model_directory);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `messages_json`: a JSON array of {"role": ..., "content": ...}. The template's own
  // raise_exception becomes kInvalidArgument with its message.
  Result<std::string> Render(std::string_view messages_json, bool add_generation_prompt) const;

  // Of the template's text and the special tokens.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  struct Handle;
  explicit ChatTemplate(std::unique_ptr<Handle> handle);

  std::unique_ptr<Handle> handle_;
  std::string fingerprint_;
};

}  // namespace thresher

#endif  // THRESHER_TEXT_CHAT_TEMPLATE_H_
