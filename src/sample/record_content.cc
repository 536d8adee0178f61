#include "sample/record_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "sample/json_member.h"
#include "sample/record_kind.h"
#include "text/utf8.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

// Keys go into shards and commit records, once for each sample.
constexpr size_t kMaxKeyBytes = 1024;

// "task_id", else "id", else "". Numbers are taken as they are written in JSON.
Result<std::string> ReadKey(const Json& record) {
  for (const std::string_view name : {"task_id", "id"}) {
    if (!HasField(record, name)) continue;
    const Json& value = *record.find(name);
    std::string key;
    if (value.is_string()) {
      key = value.get<std::string>();
    } else if (value.is_number()) {
      key = value.dump();
    } else {
      return FieldError(record, name, "a string or a number");
    }
    if (key.size() > kMaxKeyBytes) {
      return InvalidArgument(fmt::format("field '{}': expected at most {} bytes, found {}", name,
                                         kMaxKeyBytes, key.size()));
    }
    return key;
  }
  return std::string();
}

Result<TokenIdsContent> ReadTokenIds(const Json& record, const std::string& field,
                                     int64_t vocabulary_size) {
  const Json& list = *record.find(field);
  if (!list.is_array()) return FieldError(record, field, "a list of integers");
  if (list.empty()) {
    return InvalidArgument(
        fmt::format("field '{}': expected at least one token, found none", field));
  }
  TokenIdsContent content;
  content.token_ids.reserve(list.size());
  for (size_t index = 0; index < list.size(); ++index) {
    const Json& id = list[index];
    // As unsigned, a negative integer is too large as well.
    if (!id.is_number_integer() || id.get<uint64_t>() >= static_cast<uint64_t>(vocabulary_size)) {
      return InvalidArgument(fmt::format(
          "field '{}'[{}]: expected an integer from 0 to {} (the model's vocabulary), found {}",
          field, index, vocabulary_size - 1, DescribeJson(&id)));
    }
    content.token_ids.push_back(id.get<int32_t>());
  }
  return content;
}

// `text`: the record's text, which still knows the order of members.
Result<MessagesContent> ReadMessages(const Json& record, const std::string& field,
                                     std::string_view text) {
  const Json& list = *record.find(field);
  if (!list.is_array() || list.empty()) {
    return FieldError(record, field, "a list of at least one {\"role\": .., \"content\": ..}");
  }
  const std::vector<std::string_view> elements = JsonElementTexts(JsonMemberText(text, field));
  MessagesContent content;
  for (size_t index = 0; index < list.size(); ++index) {
    const std::string place = fmt::format("{}[{}]", field, index);
    const Json& message = list[index];
    if (!message.is_object()) {
      return InvalidArgument(fmt::format("{}: expected {{\"role\": .., \"content\": ..}}, found {}",
                                         place, DescribeJson(&message)));
    }
    for (const std::string_view name : {"role", "content"}) {
      const auto member = message.find(name);
      if (member == message.end() || !member->is_string()) {
        return FieldError(message, name, "a string").WithContext(place);
      }
    }
    content.messages.push_back(
        {message.find("role")->get<std::string>(), std::string(elements[index])});
  }
  return content;
}

// The program that belongs to a task, or why there is none.
void ReadCode(const Json& record, const std::string& code_column, ArcContent& content) {
  for (const std::string_view name : {"code", "source"}) {
    const std::string_view field = code_column.empty() ? name : code_column;
    if (HasField(record, field) && record.find(field)->is_string()) {
      content.code = record.find(field)->get<std::string>();
      return;
    }
  }
  content.why_no_code = fmt::format(
      "the record has no program: no string in field {} (--code-column); its fields are {}",
      code_column.empty() ? "'code' or 'source'" : Quoted(code_column), DescribeFields(record));
}

Result<ArcContent> ReadArc(const Json& record, const FoundContent& found,
                           const std::string& code_column) {
  ArcContent content;
  if (found.kind == ContentKind::kArcPairs) {
    ASSIGN_OR_RETURN(content.task, ParseArcPairs(*record.find(found.field), found.field));
  } else if (found.kind == ContentKind::kArcObject) {
    Result<ArcTask> task = ParseArcTask(*record.find(found.field));
    if (!task.ok()) return task.status().WithContext("field " + Quoted(found.field));
    content.task = *std::move(task);
  } else {
    ASSIGN_OR_RETURN(content.task, ParseArcTask(record));
  }
  ReadCode(record, code_column, content);
  return content;
}

Result<RecordContent> ReadJsonRecord(std::string_view text, const ContentOptions& options) {
  ASSIGN_OR_RETURN(const Json record, ParseJson(text));
  if (!record.is_object()) {
    return InvalidArgument("expected a JSON object, found " + DescribeJson(&record));
  }
  RecordContent content;
  ASSIGN_OR_RETURN(content.key, ReadKey(record));
  ASSIGN_OR_RETURN(const FoundContent found, FindContent(record, options.column));
  content.field = found.field;
  switch (found.kind) {
    case ContentKind::kTokenIds: {
      ASSIGN_OR_RETURN(content.value, ReadTokenIds(record, found.field, options.vocabulary_size));
      break;
    }
    case ContentKind::kText: {
      const Json& value = *record.find(found.field);
      if (!value.is_string()) return FieldError(record, found.field, "a string");
      content.value = TextContent{value.get<std::string>()};
      break;
    }
    case ContentKind::kMessages: {
      ASSIGN_OR_RETURN(content.value, ReadMessages(record, found.field, text));
      break;
    }
    case ContentKind::kArcTask:
    case ContentKind::kArcObject:
    case ContentKind::kArcPairs: {
      ASSIGN_OR_RETURN(content.value, ReadArc(record, found, options.code_column));
      break;
    }
  }
  return content;
}

}  // namespace

Result<RecordContent> ReadContent(const Record& record, const ContentOptions& options) {
  const int64_t bytes = std::max(record.unread_bytes, static_cast<int64_t>(record.text.size()));
  if (record.unread_bytes > 0 || bytes > options.max_record_bytes) {
    return InvalidArgument(fmt::format("a {} of {} bytes is longer than the limit of {}",
                                       record.is_json ? "record" : "document", bytes,
                                       options.max_record_bytes));
  }
  RETURN_IF_ERROR(CheckUtf8(record.text));
  if (record.is_json) return ReadJsonRecord(record.text, options);
  if (!options.column.empty()) {
    return InvalidArgument("plain text has no field " + Quoted(options.column) +
                           " (--column); leave --column away");
  }
  RecordContent content;
  content.value = TextContent{std::string(record.text)};
  return content;
}

}  // namespace thresher
