#ifndef THRESHER_SAMPLE_PROMPT_END_H_
#define THRESHER_SAMPLE_PROMPT_END_H_

#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

// Where a prompt stops.
struct PromptEnd {
  enum class Kind {
    kUser,       // after the user's turn
    kAssistant,  // after the opening of the assistant's turn
    kPrefix,     // after the opening and a beginning of the answer
    kAnswer,     // after the whole right answer
  };
  Kind kind = Kind::kAssistant;
  std::string prefix = {};  // kPrefix: not empty

  bool operator==(const PromptEnd&) const = default;
};

// Reads "user", "assistant", "prefix:TEXT" (escapes as in Unescape) or "answer". kInvalidArgument
// names --prompt-end.
Result<PromptEnd> ParsePromptEnd(std::string_view spec);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_PROMPT_END_H_
