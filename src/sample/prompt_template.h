#ifndef THRESHER_SAMPLE_PROMPT_TEMPLATE_H_
#define THRESHER_SAMPLE_PROMPT_TEMPLATE_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "sample/sample_settings.h"
#include "text/jinja_template.h"

namespace thresher {

// A template that comes with the program: src/sample/prompts/NAME.jinja.
struct BuiltInPrompt {
  std::string_view name;
  std::string_view text;
};

// In alphabetical order of their names.
std::span<const BuiltInPrompt> BuiltInPrompts();

// The text of a built-in template. kInvalidArgument lists the names.
Result<std::string_view> BuiltInPromptText(std::string_view name);

// What a template's first line says about it: the text of its comment; empty if it has none.
std::string_view PromptDescription(std::string_view text);

// True if an expression or a statement of the template has the identifier `variable`.
bool PromptUses(std::string_view text, std::string_view variable);

// `settings.prompt` is a built-in template's name or a file: reads the file into prompt_template
// and leaves its name without folders in prompt. Errors name --prompt.
Status LoadPromptFile(SampleSettings& settings);

// A Jinja template of a prompt and, after a line that is exactly "{# answer #}", of the right
// answer to it. Immutable; thread-safe.
class PromptTemplate {
 public:
  // `name` is for messages. Errors are kInvalidArgument: "NAME:LINE: what is wrong".
  static Result<PromptTemplate> Compile(std::string_view text, const std::string& name);

  // `context_json`: a JSON object with the variables. An error if one is missing.
  Result<std::string> RenderPrompt(std::string_view context_json) const {
    return prompt_.Render(context_json);
  }
  // kInvalidArgument also if the template has no answer.
  Result<std::string> RenderAnswer(std::string_view context_json) const;

 private:
  explicit PromptTemplate(JinjaTemplate prompt) : prompt_(std::move(prompt)) {}

  JinjaTemplate prompt_;
  std::optional<JinjaTemplate> answer_;
};

}  // namespace thresher

#endif  // THRESHER_SAMPLE_PROMPT_TEMPLATE_H_
