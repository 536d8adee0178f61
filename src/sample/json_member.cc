#include "sample/json_member.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"

namespace thresher {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// The position after the string literal that begins at `begin`.
size_t EndOfString(std::string_view text, size_t begin) {
  size_t position = begin + 1;
  while (text[position] != '"') position += text[position] == '\\' ? 2 : 1;
  return position + 1;
}

// The position after the value that begins at `begin`, blanks behind it included.
size_t EndOfValue(std::string_view text, size_t begin) {
  int depth = 0;
  size_t position = begin;
  while (true) {
    const char c = text[position];
    if (c == '"') {
      position = EndOfString(text, position);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) return position;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++position;
  }
}

// True if a string literal (quotes included) stands for `name`; it may be written with escapes.
bool LiteralIs(std::string_view literal, std::string_view name) {
  if (literal.find('\\') == literal.npos) return literal.substr(1, literal.size() - 2) == name;
  return nlohmann::json::parse(literal, nullptr, /*allow_exceptions=*/false) == name;
}

}  // namespace

std::string_view JsonMemberText(std::string_view object, std::string_view name) {
  size_t position = object.find('{');
  THRESHER_CHECK(position != object.npos);
  while (true) {
    position = object.find('"', position);
    THRESHER_CHECK(position != object.npos);  // the member is there
    const size_t key_end = EndOfString(object, position);
    const bool found = LiteralIs(object.substr(position, key_end - position), name);
    const size_t colon = object.find(':', key_end);
    const size_t begin = object.find_first_not_of(kBlanks, colon + 1);
    const size_t end = EndOfValue(object, begin);
    if (found) return object.substr(begin, end - begin);
    position = end;
  }
}

std::vector<std::string_view> JsonElementTexts(std::string_view array) {
  std::vector<std::string_view> elements;
  size_t position = array.find('[');
  THRESHER_CHECK(position != array.npos);
  do {
    const size_t begin = array.find_first_not_of(kBlanks, position + 1);
    if (array[begin] == ']') break;
    position = EndOfValue(array, begin);
    elements.push_back(array.substr(begin, position - begin));
  } while (array[position] == ',');
  return elements;
}

}  // namespace thresher
