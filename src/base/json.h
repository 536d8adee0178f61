#ifndef THRESHER_BASE_JSON_H_
#define THRESHER_BASE_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

// JSON that somebody else wrote, read without exceptions. Every failure is kInvalidArgument with a
// message of printable ASCII; the caller adds the file's name.

// Deeper nesting than this is refused.
inline constexpr int kMaxJsonDepth = 64;

// Parses one JSON value (RFC 8259) and nothing after it. Also refuses duplicate keys, nesting
// deeper than kMaxJsonDepth, zero bytes and invalid UTF-8. Syntax errors say line and column.
Result<nlohmann::json> ParseJson(std::string_view text);

// True if `object` has the member and it is not null: null means absent in every file we read.
bool HasField(const nlohmann::json& object, std::string_view name);

// Members of an object. Absent or null gives `if_absent` if there is one, else an error like every
// other: "field 'num_hidden_layers': expected an integer from 1 to 1000, found -3". Integers
// written as 3.0 are refused. `object` must be an object.
Result<int64_t> IntegerField(const nlohmann::json& object, std::string_view name, int64_t minimum,
                             int64_t maximum, std::optional<int64_t> if_absent = std::nullopt);
Result<double> NumberField(const nlohmann::json& object, std::string_view name, double minimum,
                           double maximum, std::optional<double> if_absent = std::nullopt);
Result<bool> BoolField(const nlohmann::json& object, std::string_view name,
                       std::optional<bool> if_absent = std::nullopt);
Result<std::string> StringField(const nlohmann::json& object, std::string_view name,
                                const std::optional<std::string>& if_absent = std::nullopt);

// "field 'NAME': expected EXPECTED, found FOUND", for checks that the functions above do not make.
Status FieldError(const nlohmann::json& object, std::string_view name, std::string_view expected);

// A value as messages show it: at most about 80 characters. A null pointer shows as "nothing".
std::string DescribeJson(const nlohmann::json* value);

// Text from a file as messages show it: in single quotes, anything but printable ASCII as \xNN, and
// cut after 120 bytes.
std::string Quoted(std::string_view text);

// The message of a syntax error that nlohmann found at byte `position` (counted from 1) of `text`.
std::string JsonSyntaxMessage(std::string_view text, size_t position);

}  // namespace thresher

#endif  // THRESHER_BASE_JSON_H_
