#include "sample/prompt_end.h"

#include "base/escapes.h"
#include "base/json.h"
#include "text/utf8.h"

namespace thresher {

Result<PromptEnd> ParsePromptEnd(std::string_view spec) {
  constexpr std::string_view kFlag = "--prompt-end";
  constexpr std::string_view kPrefix = "prefix:";
  if (spec == "user") return PromptEnd{.kind = PromptEnd::Kind::kUser};
  if (spec == "assistant") return PromptEnd{.kind = PromptEnd::Kind::kAssistant};
  if (spec == "answer") return PromptEnd{.kind = PromptEnd::Kind::kAnswer};
  if (!spec.starts_with(kPrefix) || spec == kPrefix) {
    return InvalidArgument(std::string(kFlag) +
                           ": expected user, assistant, answer, or prefix:TEXT with the beginning "
                           "of the answer, found " +
                           Quoted(spec));
  }
  Result<std::string> prefix = Unescape(spec.substr(kPrefix.size()));
  if (!prefix.ok()) return prefix.status().WithContext(kFlag);
  RETURN_IF_ERROR(CheckUtf8(*prefix).WithContext(kFlag));
  return PromptEnd{.kind = PromptEnd::Kind::kPrefix, .prefix = *std::move(prefix)};
}

}  // namespace thresher
