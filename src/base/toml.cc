#include "base/toml.h"

#include <fmt/format.h>

#include <utility>

#include "base/json.h"

namespace thresher {

Result<toml::table> ParseToml(std::string_view text, std::string_view path) {
  toml::parse_result parsed = toml::parse(text, path);
  if (parsed) return std::move(parsed).table();
  const toml::parse_error& error = parsed.error();
  // The library repeats what it read, whatever that is.
  const std::string quoted = Quoted(error.description());
  return InvalidArgument(fmt::format("{}:{}:{}: not valid TOML: {}", path,
                                     error.source().begin.line, error.source().begin.column,
                                     quoted.substr(1, quoted.size() - 2)));
}

std::string DescribeToml(const toml::node& node) {
  if (const auto* text = node.as_string()) return "the string " + Quoted(text->get());
  if (const auto* integer = node.as_integer()) return fmt::format("{}", integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  if (node.is_table()) return "a section";
  if (node.is_array_of_tables()) return "an array of sections";
  if (node.is_array()) return "an array";
  return "a date or a time";
}

}  // namespace thresher
