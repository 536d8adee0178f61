#ifndef THRESHER_SAMPLE_CHAT_PROMPT_H_
#define THRESHER_SAMPLE_CHAT_PROMPT_H_

#include <string>
#include <vector>

#include "base/result.h"
#include "sample/byte_range.h"
#include "sample/prompt_end.h"
#include "sample/record_content.h"
#include "text/chat_template.h"

namespace thresher {

// The text of a sample, ready for the tokenizer.
struct PromptText {
  std::string text;
  bool add_special_tokens = false;              // by the tokenizer; a chat template writes its own
  std::vector<ByteRange> assistant_turns = {};  // ascending; filled if asked for
};

// The conversation as the model sees it. Its end:
//   user       the messages as they are
//   assistant  the same with the opening of the assistant's turn, unless the last message is the
//              assistant's: then the conversation is whole
//   prefix     opening and prefix; kInvalidArgument if the last message is the assistant's
//   answer     the messages; kInvalidArgument unless the last one is the assistant's
// A turn of the assistant is its message with what the template puts around it; an opening and a
// prefix at the end are one too. Turns are found by rendering the conversation's beginnings:
// kInvalidArgument if one is not how the whole begins.
Result<PromptText> RenderConversation(const ChatTemplate& chat_template,
                                      const std::vector<ChatMessage>& messages,
                                      const PromptEnd& end, bool find_assistant_turns);

// {"role": role, "content": content}
ChatMessage MakeMessage(const std::string& role, const std::string& content);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_CHAT_PROMPT_H_
