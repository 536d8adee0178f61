#include "work/json_fields.h"

#include <utility>

namespace thresher {
namespace {

const Json kEmptyObject = Json::object();
const Json kEmptyArray = Json::array();

// At most 60 bytes of a value, for messages.
std::string Excerpt(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

bool IsInteger(const Json& value) {
  return value.is_number_integer() &&
         !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
}

}  // namespace

Result<Json> ParseRecord(std::string_view text, std::string_view name) {
  constexpr int kMaxDepth = 32;
  bool too_deep = false;
  Json parsed = Json::parse(
      text.begin(), text.end(),
      [&](int depth, Json::parse_event_t, Json&) {
        if (depth > kMaxDepth) too_deep = true;
        return !too_deep;
      },
      /*allow_exceptions=*/false);
  if (too_deep || parsed.is_discarded() || !parsed.is_object()) {
    return DataLoss(std::string(name) + ": expected one JSON object, found something else (" +
                    std::to_string(text.size()) + " bytes)");
  }
  return parsed;
}

JsonFields::JsonFields(const Json& object, std::string name)
    : object_(object), name_(std::move(name)) {
  if (!object_.is_object()) status_ = DataLoss(name_ + ": expected an object");
}

void JsonFields::Add(const Status& status) {
  if (status_.ok()) status_ = status;
}

void JsonFields::Fail(const char* key, std::string_view expected, const Json& found) {
  Add(DataLoss(name_ + ": field '" + key + "': expected " + std::string(expected) + ", found " +
               Excerpt(found)));
}

const Json* JsonFields::Find(const char* key, const char* expected, bool (*is_right)(const Json&)) {
  if (!status_.ok()) return nullptr;
  const auto found = object_.find(key);
  if (found == object_.end()) {
    Add(DataLoss(name_ + ": field '" + key + "' is missing"));
    return nullptr;
  }
  if (!is_right(*found)) {
    Fail(key, expected, *found);
    return nullptr;
  }
  return &*found;
}

std::string JsonFields::String(const char* key) {
  const Json* value = Find(key, "a string", [](const Json& v) { return v.is_string(); });
  return value ? value->get<std::string>() : std::string();
}

int64_t JsonFields::Integer(const char* key, int64_t minimum) {
  const Json* value = Find(key, "an integer", IsInteger);
  if (!value) return minimum;
  const auto number = value->get<int64_t>();
  if (number < minimum) Fail(key, "at least " + std::to_string(minimum), *value);
  return number;
}

double JsonFields::Number(const char* key) {
  const Json* value = Find(key, "a number", [](const Json& v) { return v.is_number(); });
  return value ? value->get<double>() : 0;
}

std::vector<std::string> JsonFields::Strings(const char* key) {
  std::vector<std::string> strings;
  for (const Json& element : Array(key)) {
    if (element.is_string()) {
      strings.push_back(element.get<std::string>());
    } else {
      Fail(key, "a list of strings", element);
    }
  }
  return strings;
}

std::vector<int64_t> JsonFields::Integers(const char* key) {
  std::vector<int64_t> integers;
  const Json& array = Array(key);
  integers.reserve(array.size());
  for (const Json& element : array) {
    if (IsInteger(element)) {
      integers.push_back(element.get<int64_t>());
    } else {
      Fail(key, "a list of integers", element);
    }
  }
  return integers;
}

const Json& JsonFields::Object(const char* key) {
  const Json* value = Find(key, "an object", [](const Json& v) { return v.is_object(); });
  return value ? *value : kEmptyObject;
}

const Json& JsonFields::Array(const char* key) {
  const Json* value = Find(key, "a list", [](const Json& v) { return v.is_array(); });
  return value ? *value : kEmptyArray;
}

}  // namespace thresher
