#include "dataset/sample_reader.h"

#include <fmt/format.h>

#include <utility>

#include "arc/arc_prompt.h"
#include "arc/arc_task.h"
#include "base/fingerprint.h"
#include "base/json.h"
#include "dataset/json_member.h"
#include "text/utf8.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

// Keys go into shards and commit records, once for each sample.
constexpr size_t kMaxKeyBytes = 1024;

constexpr std::string_view kKinds =
    "'token_ids', 'text', 'messages', or 'train' with 'test' (an ARC task)";

// The names of the record's members, at most eight of them: "'a', 'b' and 3 more".
std::string DescribeKeys(const Json& record) {
  constexpr size_t kMaxNames = 8;
  if (record.empty()) return "no fields";
  std::string names;
  size_t count = 0;
  for (const auto& [name, value] : record.items()) {
    if (count++ == kMaxNames) break;
    if (!names.empty()) names += ", ";
    names += Quoted(name);
    if (value.is_null()) names += " (null)";
  }
  if (record.size() > kMaxNames) names += fmt::format(" and {} more", record.size() - kMaxNames);
  return names;
}

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

Result<std::vector<int32_t>> ReadTokenIds(const Json& record, int64_t vocabulary_size) {
  const Json& list = *record.find("token_ids");
  if (!list.is_array()) return FieldError(record, "token_ids", "a list of integers");
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (size_t index = 0; index < list.size(); ++index) {
    const Json& id = list[index];
    // As unsigned, a negative integer is too large as well.
    if (!id.is_number_integer() || id.get<uint64_t>() >= static_cast<uint64_t>(vocabulary_size)) {
      return InvalidArgument(fmt::format(
          "field 'token_ids'[{}]: expected an integer from 0 to {} (the model's vocabulary), "
          "found {}",
          index, vocabulary_size - 1, DescribeJson(&id)));
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

Status CheckMessages(const Json& record) {
  const Json& list = *record.find("messages");
  if (!list.is_array() || list.empty()) {
    return FieldError(record, "messages", "a list of at least one {\"role\": .., \"content\": ..}");
  }
  for (size_t index = 0; index < list.size(); ++index) {
    const std::string place = fmt::format("messages[{}]", index);
    if (!list[index].is_object()) {
      return InvalidArgument(fmt::format("{}: expected {{\"role\": .., \"content\": ..}}, found {}",
                                         place, DescribeJson(&list[index])));
    }
    for (const std::string_view name : {"role", "content"}) {
      const auto it = list[index].find(name);
      if (it == list[index].end() || !it->is_string()) {
        return FieldError(list[index], name, "a string").WithContext(place);
      }
    }
  }
  return OkStatus();
}

// The one member that says what kind of record it is.
Result<std::string_view> KindOf(const Json& record) {
  std::vector<std::string_view> kinds;
  for (const std::string_view name : {"token_ids", "text", "messages"}) {
    if (HasField(record, name)) kinds.push_back(name);
  }
  // "train" or "test" alone is an incomplete task only if the record is nothing else.
  const int arc_fields = int{HasField(record, "train")} + int{HasField(record, "test")};
  if (arc_fields == 2 || (arc_fields == 1 && kinds.empty())) kinds.emplace_back("train");
  if (kinds.empty()) {
    return InvalidArgument(fmt::format("no known kind of record: expected one of {}; found {}",
                                       kKinds, DescribeKeys(record)));
  }
  if (kinds.size() > 1) {
    return InvalidArgument(
        fmt::format("several kinds of record at once: expected one of {}; "
                    "found {}",
                    kKinds, DescribeKeys(record)));
  }
  return kinds.front();
}

// Loads what may be missing: nothing if it does not exist.
template <typename T>
Result<std::optional<T>> LoadIfExists(const std::string& model_directory) {
  Result<T> loaded = T::Load(model_directory);
  if (loaded.ok()) return std::optional<T>(std::move(loaded).value());
  if (loaded.status().code() == Code::kNotFound) return std::optional<T>();
  return loaded.status();
}

// A task whose prompt shows every part of the built-in prompt's text.
std::string ExamplePrompt() {
  const ArcGrid grid = {.rows = 1, .columns = 2, .cells = {0, 1}};
  return ArcPrompt({.train = {{.input = grid, .output = grid}, {.input = grid, .output = grid}},
                    .test = {{.input = grid, .output = std::nullopt}}});
}

}  // namespace

Result<SampleReader> SampleReader::Create(const std::string& model_directory,
                                          const SampleReaderOptions& options) {
  THRESHER_CHECK(options.max_tokens > 0);
  THRESHER_CHECK(options.vocabulary_size > 0);
  SampleReader reader;
  reader.model_directory_ = model_directory;
  reader.options_ = options;
  ASSIGN_OR_RETURN(reader.tokenizer_, LoadIfExists<Tokenizer>(model_directory));
  ASSIGN_OR_RETURN(reader.chat_template_, LoadIfExists<ChatTemplate>(model_directory));
  Fingerprinter fingerprinter;
  fingerprinter.AddField(reader.tokenizer_ ? reader.tokenizer_->fingerprint() : "");
  fingerprinter.AddField(reader.chat_template_ ? reader.chat_template_->fingerprint() : "");
  fingerprinter.AddField(kArcPromptName);
  fingerprinter.AddField(ExamplePrompt());
  fingerprinter.AddField(std::to_string(options.max_tokens));
  fingerprinter.AddField(options.overlong == Overlong::kTruncate ? "truncate" : "reject");
  reader.fingerprint_ = fingerprinter.Finish();
  return reader;
}

SampleOrRejection SampleReader::Read(const Dataset& dataset, int64_t record_index) const {
  Result<Sample> sample = ReadRecord(dataset.Record(record_index));
  if (sample.ok()) return std::move(sample).value();
  return Rejection{dataset.Location(record_index) + ": " + sample.status().message()};
}

Result<Sample> SampleReader::ReadRecord(std::string_view line) const {
  if (static_cast<int64_t>(line.size()) > options_.max_record_bytes) {
    return InvalidArgument(fmt::format("a line of {} bytes is longer than the limit of {}",
                                       line.size(), options_.max_record_bytes));
  }
  RETURN_IF_ERROR(CheckUtf8(line));
  ASSIGN_OR_RETURN(const Json record, ParseJson(line));
  if (!record.is_object()) {
    return InvalidArgument("expected a JSON object, found " + DescribeJson(&record));
  }
  Sample sample;
  ASSIGN_OR_RETURN(sample.key, ReadKey(record));
  ASSIGN_OR_RETURN(sample.token_ids, Tokens(record, line));
  const auto count = static_cast<int64_t>(sample.token_ids.size());
  if (count > options_.max_tokens) {
    if (options_.overlong == Overlong::kReject) {
      return InvalidArgument(
          fmt::format("{} tokens, more than the limit of {}", count, options_.max_tokens));
    }
    sample.token_ids.resize(static_cast<size_t>(options_.max_tokens));
    sample.truncated = true;
  }
  return sample;
}

Result<std::vector<int32_t>> SampleReader::Tokens(const Json& record, std::string_view line) const {
  ASSIGN_OR_RETURN(const std::string_view kind, KindOf(record));
  std::vector<int32_t> ids;
  if (kind == "token_ids") {
    ASSIGN_OR_RETURN(ids, ReadTokenIds(record, options_.vocabulary_size));
  } else if (kind == "text") {
    const Json& text = *record.find("text");
    if (!text.is_string()) return FieldError(record, "text", "a string");
    ASSIGN_OR_RETURN(ids, TextTokens(text.get_ref<const std::string&>(), true));
  } else if (kind == "messages") {
    RETURN_IF_ERROR(CheckMessages(record));
    ASSIGN_OR_RETURN(ids, MessagesTokens(JsonMemberText(line, "messages")));
  } else {
    ASSIGN_OR_RETURN(ids, ArcTokens(record));
  }
  if (ids.empty()) {
    return InvalidArgument(
        fmt::format("field '{}': expected at least one token, found none", kind));
  }
  return ids;
}

Result<std::vector<int32_t>> SampleReader::MessagesTokens(std::string_view messages_json) const {
  if (!chat_template_) {
    return InvalidArgument(
        fmt::format("field 'messages': the model has no chat template ({} has neither "
                    "chat_template.jinja nor 'chat_template' in tokenizer_config.json); use "
                    "'text' or 'token_ids'",
                    model_directory_));
  }
  ASSIGN_OR_RETURN(const std::string prompt,
                   chat_template_->Render(messages_json, /*add_generation_prompt=*/true));
  // The template writes the special tokens itself.
  return TextTokens(prompt, /*add_special_tokens=*/false);
}

Result<std::vector<int32_t>> SampleReader::ArcTokens(const Json& record) const {
  ASSIGN_OR_RETURN(const ArcTask task, ParseArcTask(record));
  const std::string prompt = ArcPrompt(task);
  if (!chat_template_) return TextTokens(prompt, /*add_special_tokens=*/true);
  const Json messages = Json::array({Json{{"role", "user"}, {"content", prompt}}});
  return MessagesTokens(messages.dump());
}

Result<std::vector<int32_t>> SampleReader::TextTokens(std::string_view text,
                                                      bool add_special_tokens) const {
  if (!tokenizer_) {
    return InvalidArgument(
        fmt::format("the model has no tokenizer ({} has no tokenizer.json); use 'token_ids'",
                    model_directory_));
  }
  ASSIGN_OR_RETURN(std::vector<int32_t> ids, tokenizer_->Encode(text, add_special_tokens));
  for (const int32_t id : ids) {
    if (id >= options_.vocabulary_size) {
      return InvalidArgument(
          fmt::format("the tokenizer gives token id {}, but the model's vocabulary has {}: "
                      "tokenizer.json in {} belongs to another model",
                      id, options_.vocabulary_size, model_directory_));
    }
  }
  return ids;
}

}  // namespace thresher
