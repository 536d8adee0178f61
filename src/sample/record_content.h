#ifndef THRESHER_SAMPLE_RECORD_CONTENT_H_
#define THRESHER_SAMPLE_RECORD_CONTENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "arc/arc_task.h"
#include "base/result.h"
#include "dataset/dataset.h"

namespace thresher {

// One message of a conversation, as the record has it.
struct ChatMessage {
  std::string role;
  std::string json;  // {"role": .., "content": .., ...}
};

struct TokenIdsContent {
  std::vector<int32_t> token_ids;  // not empty
};
struct TextContent {
  std::string text;  // UTF-8; may be empty
};
struct MessagesContent {
  std::vector<ChatMessage> messages;  // not empty
};
struct ArcContent {
  ArcTask task;
  std::optional<std::string> code;  // a program that solves it
  std::string why_no_code;          // for people, if there is none
};

// What a record says, checked.
struct RecordContent {
  std::string key;    // "task_id" or "id" (string or number), else ""
  std::string field;  // where the content stands, for messages; empty for plain text
  std::variant<TokenIdsContent, TextContent, MessagesContent, ArcContent> value;

  bool IsArc() const { return std::holds_alternative<ArcContent>(value); }
};

struct ContentOptions {
  std::string column;       // the field with the content; empty: found by its name
  std::string code_column;  // the field with a program; empty: "code", else "source"
  int64_t vocabulary_size = 0;
  int64_t max_record_bytes = 0;  // longer records are refused unread
};

// Reads a record. A record that is not JSON is text. In a JSON object the content is found by its
// field's name:
//   "token_ids"       a list of integers from 0 to vocabulary_size - 1
//   "text"            a string
//   "messages"        a list of {"role": "..", "content": ".."}
//   "train", "test"   an ARC task as its authors publish it
//   "examples"        an ARC task as a list of [input, output]; the last pair is the test
// or, with `column`, it is that field, and what kind it is follows from its value: a list of
// integers, a string, a list of messages, a list of pairs, or an object with "train" and "test". A
// null field counts as absent; other fields are passed over; duplicate keys are refused.
// kInvalidArgument says what is wrong without the record's place. Thread-safe.
Result<RecordContent> ReadContent(const Record& record, const ContentOptions& options);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_RECORD_CONTENT_H_
