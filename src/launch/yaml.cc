#include "launch/yaml.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "base/check.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

// A letter, then letters, digits and marks that mean nothing in YAML; no word that YAML 1.1 takes
// for true, false or null.
bool IsPlain(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords = {"y",    "n",     "yes", "no",  "on",
                                                      "true", "false", "off", "null"};
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text[0])) == 0) return false;
  const bool has_only_plain = std::all_of(text.begin(), text.end(), [](unsigned char character) {
    return std::isalnum(character) != 0 || character == '-' || character == '_' ||
           character == '.' || character == '/';
  });
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return has_only_plain && std::find(kWords.begin(), kWords.end(), small) == kWords.end();
}

// A JSON string is a YAML string in double quotes: the escapes that JSON writes mean the same. What
// JSON leaves as it is and YAML does not take, DEL and the controls and separators beyond ASCII, is
// written as escapes.
std::string Quoted(const std::string& text) {
  const std::string json = Json(text).dump();
  std::string quoted;
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = std::string_view(json).substr(i);
    const auto byte = [&](size_t index) {
      return index < rest.size() ? static_cast<unsigned char>(rest[index]) : 0U;
    };
    if (byte(0) == 0x7f) {
      quoted += "\\u007f";
    } else if (byte(0) == 0xc2 && byte(1) < 0xa0) {  // U+0080 to U+009F
      constexpr std::string_view kDigits = "0123456789abcdef";
      quoted += "\\u00";
      quoted += kDigits[byte(1) >> 4U];
      quoted += kDigits[byte(1) & 15U];
      i += 1;
    } else if (rest.starts_with("\xe2\x80\xa8") || rest.starts_with("\xe2\x80\xa9")) {
      quoted += byte(2) == 0xa8 ? "\\u2028" : "\\u2029";
      i += 2;
    } else if (rest.starts_with("\xef\xbb\xbf")) {
      quoted += "\\ufeff";
      i += 2;
    } else {
      quoted += json[i];
    }
  }
  return quoted;
}

std::string Scalar(const Json& value) {
  if (!value.is_string()) return value.dump();
  const std::string& text = value.get_ref<const std::string&>();
  return IsPlain(text) ? text : Quoted(text);
}

bool IsBlock(const Json& value) { return value.is_structured() && !value.empty(); }

void Write(const Json& value, size_t indent, std::string& out);

// What follows "key:" or "-".
void WriteEntry(const Json& value, size_t indent, std::string& out) {
  if (IsBlock(value)) {
    out += '\n';
    Write(value, indent, out);
  } else {
    out += ' ' + Scalar(value) + '\n';
  }
}

void Write(const Json& value, size_t indent, std::string& out) {
  if (value.is_object()) {
    for (const auto& [key, entry] : value.items()) {
      out += std::string(indent, ' ') + Scalar(Json(key)) + ':';
      WriteEntry(entry, indent + 2, out);
    }
    return;
  }
  for (const Json& entry : value) {
    out += std::string(indent, ' ') + '-';
    if (!entry.is_object() || entry.empty()) {
      WriteEntry(entry, indent + 2, out);
      continue;
    }
    // The first key of a map stands behind the dash.
    std::string map;
    Write(entry, indent + 2, map);
    out += ' ' + map.substr(indent + 2);
  }
}

}  // namespace

std::string WriteYaml(const nlohmann::ordered_json& document) {
  THRESHER_CHECK(IsBlock(document));
  std::string out;
  Write(document, 0, out);
  return out;
}

}  // namespace thresher
