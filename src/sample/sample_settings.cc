#include "sample/sample_settings.h"

#include <charconv>
#include <string_view>

namespace thresher {
namespace {

// Calls `visit` with the name and the value of every field.
template <typename Settings, typename Visitor>
void VisitFields(Settings& settings, const Visitor& visit) {
  visit("max_tokens", settings.max_tokens);
  visit("overlong", settings.overlong);
  visit("overlap", settings.overlap);
  visit("documents", settings.documents);
  visit("column", settings.column);
  visit("code_column", settings.code_column);
  visit("prompt", settings.prompt);
  visit("prompt_template", settings.prompt_template);
  visit("prompt_end", settings.prompt_end);
  visit("grid_encoder", settings.grid_encoder);
  visit("variants", settings.variants);
  visit("augment", settings.augment);
  visit("seed", settings.seed);
  visit("tokens", settings.tokens);
  visit("exclude_tokens", settings.exclude_tokens);
}

std::string ToText(const std::string& text) { return text; }
std::string ToText(int64_t number) { return std::to_string(number); }

bool FromText(const std::string& text, std::string& value) {
  value = text;
  return true;
}
bool FromText(const std::string& text, int64_t& value) {
  const char* end = text.data() + text.size();
  const auto [parsed_end, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && parsed_end == end;
}

}  // namespace

std::map<std::string, std::string> SampleSettings::ToMap() const {
  std::map<std::string, std::string> map;
  VisitFields(*this, [&](const char* name, const auto& value) { map[name] = ToText(value); });
  return map;
}

Result<SampleSettings> SampleSettings::FromMap(const std::map<std::string, std::string>& map,
                                               std::string_view name) {
  SampleSettings settings;
  Status status;
  VisitFields(settings, [&](const char* field, auto& value) {
    const auto found = map.find(field);
    if (!status.ok() || (found != map.end() && FromText(found->second, value))) return;
    status = DataLoss(
        std::string(name) + ": field '" + field + "': " +
        (found == map.end() ? "missing" : "expected a number, found '" + found->second + "'"));
  });
  if (!status.ok()) return status;
  return settings;
}

}  // namespace thresher
