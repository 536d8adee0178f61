#include "engine/pjrt/named_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace thresher {

std::vector<PJRT_NamedValue> ToNamedValues(const PjrtOptions& options) {
  std::vector<PJRT_NamedValue> values;
  for (const auto& [name, option] : options) {
    PJRT_NamedValue& value = values.emplace_back();
    value = {};
    value.struct_size = PJRT_NamedValue_STRUCT_SIZE;
    value.name = name.data();
    value.name_size = name.size();
    value.value_size = 1;
    if (const auto* text = std::get_if<std::string>(&option)) {
      value.type = PJRT_NamedValue_kString;
      value.string_value = text->data();
      value.value_size = text->size();
    } else if (const auto* integer = std::get_if<int64_t>(&option)) {
      value.type = PJRT_NamedValue_kInt64;
      value.int64_value = *integer;
    } else if (const auto* number = std::get_if<float>(&option)) {
      value.type = PJRT_NamedValue_kFloat;
      value.float_value = *number;
    } else {
      value.type = PJRT_NamedValue_kBool;
      value.bool_value = std::get<bool>(option);
    }
  }
  return values;
}

std::string FormatNamedValue(const PJRT_NamedValue& value) {
  switch (value.type) {
    case PJRT_NamedValue_kString:
      return std::string(value.string_value, value.value_size);
    case PJRT_NamedValue_kInt64:
      return fmt::format("{}", value.int64_value);
    case PJRT_NamedValue_kInt64List:
      return fmt::format("{}",
                         fmt::join(std::span(value.int64_array_value, value.value_size), "."));
    case PJRT_NamedValue_kFloat:
      return fmt::format("{}", value.float_value);
    case PJRT_NamedValue_kBool:
      return value.bool_value ? "true" : "false";
  }
  return "?";
}

std::map<std::string, std::string> FormatNamedValues(std::span<const PJRT_NamedValue> values) {
  std::map<std::string, std::string> formatted;
  for (const PJRT_NamedValue& value : values) {
    formatted.emplace(std::string(value.name, value.name_size), FormatNamedValue(value));
  }
  return formatted;
}

}  // namespace thresher
