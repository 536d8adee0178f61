#include "sample/record_kind.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "base/json.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kNames =
    "'token_ids', 'text', 'messages', 'examples', or 'train' with 'test'";

// The kind follows from the value of the field that the user names.
Result<FoundContent> FindByColumn(const Json& record, const std::string& column) {
  if (!HasField(record, column)) {
    return InvalidArgument(fmt::format("field {} (--column) {}; the fields are {}", Quoted(column),
                                       record.contains(column) ? "is null" : "does not exist",
                                       DescribeFields(record)));
  }
  const Json& value = *record.find(column);
  const auto is_task = [](const Json& object) {
    return object.contains("train") && object.contains("test");
  };
  if (value.is_string()) return FoundContent{ContentKind::kText, column};
  if (value.is_object() && is_task(value)) return FoundContent{ContentKind::kArcObject, column};
  if (value.is_array() && !value.empty()) {
    if ((column == "train" || column == "test") && is_task(record)) {
      return FoundContent{ContentKind::kArcTask, "train"};
    }
    const Json& first = value.front();
    if (first.is_number()) return FoundContent{ContentKind::kTokenIds, column};
    if (first.is_object()) return FoundContent{ContentKind::kMessages, column};
    if (first.is_array()) return FoundContent{ContentKind::kArcPairs, column};
  }
  return FieldError(record, column,
                    "a string, or a list of integers, of messages or of [input, output] pairs");
}

}  // namespace

std::string DescribeFields(const Json& record) {
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

Result<FoundContent> FindContent(const Json& record, const std::string& column) {
  if (!column.empty()) return FindByColumn(record, column);
  std::vector<FoundContent> found;
  const auto look_for = [&](const char* name, ContentKind kind) {
    if (HasField(record, name)) found.push_back({kind, name});
  };
  look_for("token_ids", ContentKind::kTokenIds);
  look_for("text", ContentKind::kText);
  look_for("messages", ContentKind::kMessages);
  look_for("examples", ContentKind::kArcPairs);
  // "train" or "test" alone is an incomplete task only if the record is nothing else.
  const int task_fields = int{HasField(record, "train")} + int{HasField(record, "test")};
  if (task_fields == 2 || (task_fields == 1 && found.empty())) {
    found.push_back({ContentKind::kArcTask, "train"});
  }
  if (found.empty()) {
    return InvalidArgument(
        fmt::format("no known kind of record: expected one of {}, or --column with the field's "
                    "name; found {}",
                    kNames, DescribeFields(record)));
  }
  if (found.size() > 1) {
    return InvalidArgument(
        fmt::format("several kinds of record at once: expected one of {}, or --column with the "
                    "field's name; found {}",
                    kNames, DescribeFields(record)));
  }
  return found.front();
}

}  // namespace thresher
