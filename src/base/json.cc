#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

namespace thresher {
namespace {

using nlohmann::json;

// Builds the value, and stops at the first thing that ParseJson refuses.
class Builder : public nlohmann::json_sax<json> {
 public:
  explicit Builder(std::string_view text) : text_(text) {}

  json TakeRoot() { return std::move(root_); }
  const std::string& error() const { return error_; }

  bool null() override { return Put(json(nullptr)) != nullptr; }
  bool boolean(bool value) override { return Put(json(value)) != nullptr; }
  bool number_integer(number_integer_t value) override { return Put(json(value)) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return Put(json(value)) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override {
    return Put(json(value)) != nullptr;
  }
  bool string(string_t& value) override { return Put(json(std::move(value))) != nullptr; }
  bool binary(binary_t&) override { return Fail("binary values are not JSON"); }
  bool start_object(std::size_t) override { return Open(json::object()); }
  bool start_array(std::size_t) override { return Open(json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    if (open_.back()->contains(name)) {
      return Fail(fmt::format("the key {} occurs twice in one object", Quoted(name)));
    }
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(JsonSyntaxMessage(text_, position));
  }

 private:
  json* Put(json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  bool Open(json value) {
    if (open_.size() >= static_cast<size_t>(kMaxJsonDepth)) {
      return Fail(fmt::format("nested deeper than {} levels", kMaxJsonDepth));
    }
    open_.push_back(Put(std::move(value)));
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  bool Fail(std::string message) {
    error_ = std::move(message);
    return false;
  }

  const std::string_view text_;
  json root_;
  std::vector<json*> open_;  // the containers around the current place, outermost first
  std::string key_;
  std::string error_;
};

const json* Member(const json& object, std::string_view name) {
  THRESHER_CHECK(object.is_object());
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

// Checks the member and reads it, or gives `if_absent`.
template <typename T, typename Accept>
Result<T> ReadField(const json& object, std::string_view name, std::string_view expected,
                    const std::optional<T>& if_absent, Accept accept) {
  const json* member = Member(object, name);
  if (member == nullptr && if_absent) return *if_absent;
  if (member == nullptr || !accept(*member)) return FieldError(object, name, expected);
  return member->get<T>();
}

}  // namespace

std::string Quoted(std::string_view text) {
  constexpr size_t kMaxBytes = 120;
  std::string out = "'";
  for (const char c : text.substr(0, kMaxBytes)) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + (text.size() > kMaxBytes ? "...'" : "'");
}

std::string JsonSyntaxMessage(std::string_view text, size_t position) {
  const std::string_view before = text.substr(0, position == 0 ? 0 : position - 1);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_begin = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  const std::string_view near = text.substr(std::min(text.size(), before.size()), 20);
  return fmt::format(
      "not valid JSON at line {}, column {} (byte {}){}", line, before.size() - line_begin + 1,
      before.size(),
      near.empty() ? std::string(": the text ends too early") : " near " + Quoted(near));
}

Result<json> ParseJson(std::string_view text) {
  // nlohmann's lexer takes a zero byte for the end of the text.
  if (const size_t zero = text.find('\0'); zero != text.npos) {
    return InvalidArgument(JsonSyntaxMessage(text, zero + 1));
  }
  Builder builder(text);
  try {
    if (!json::sax_parse(text.begin(), text.end(), &builder)) {
      return InvalidArgument(builder.error());
    }
  } catch (const std::exception& e) {
    return InvalidArgument(fmt::format("cannot parse JSON: {}", e.what()));
  }
  return builder.TakeRoot();
}

bool HasField(const json& object, std::string_view name) { return Member(object, name) != nullptr; }

std::string DescribeJson(const json* value) {
  if (value == nullptr || value->is_null()) return "nothing";
  if (value->is_object()) return "an object";
  if (value->is_array()) return "an array";
  if (value->is_string()) return Quoted(value->get_ref<const std::string&>());
  return value->dump();
}

Status FieldError(const json& object, std::string_view name, std::string_view expected) {
  return InvalidArgument(fmt::format("field '{}': expected {}, found {}", name, expected,
                                     DescribeJson(Member(object, name))));
}

Result<int64_t> IntegerField(const json& object, std::string_view name, int64_t minimum,
                             int64_t maximum, std::optional<int64_t> if_absent) {
  return ReadField<int64_t>(object, name, fmt::format("an integer from {} to {}", minimum, maximum),
                            if_absent, [&](const json& value) {
                              if (!value.is_number_integer()) return false;
                              if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)
                                return false;
                              return value.get<int64_t>() >= minimum &&
                                     value.get<int64_t>() <= maximum;
                            });
}

Result<double> NumberField(const json& object, std::string_view name, double minimum,
                           double maximum, std::optional<double> if_absent) {
  return ReadField<double>(object, name, fmt::format("a number from {} to {}", minimum, maximum),
                           if_absent, [&](const json& value) {
                             return value.is_number() && value.get<double>() >= minimum &&
                                    value.get<double>() <= maximum;
                           });
}

Result<bool> BoolField(const json& object, std::string_view name, std::optional<bool> if_absent) {
  return ReadField<bool>(object, name, "true or false", if_absent,
                         [](const json& value) { return value.is_boolean(); });
}

Result<std::string> StringField(const json& object, std::string_view name,
                                const std::optional<std::string>& if_absent) {
  return ReadField<std::string>(object, name, "a string", if_absent,
                                [](const json& value) { return value.is_string(); });
}

}  // namespace thresher
