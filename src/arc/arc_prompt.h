#ifndef THRESHER_ARC_ARC_PROMPT_H_
#define THRESHER_ARC_ARC_PROMPT_H_

#include <string>
#include <string_view>

#include "arc/arc_task.h"

namespace thresher {

// The name of the built-in prompt. Any change of its text takes a new name: stored activations
// belong to one text.
inline constexpr std::string_view kArcPromptName = "arc-v1";

// The built-in prompt: instructions, the training pairs as numbered examples, and the first test
// pair's input. A grid stands in a fenced block, one row a line, its digits side by side. The same
// task always gives the same text.
std::string ArcPrompt(const ArcTask& task);

}  // namespace thresher

#endif  // THRESHER_ARC_ARC_PROMPT_H_
