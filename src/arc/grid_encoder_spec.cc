#include "arc/grid_encoder_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "base/json.h"

namespace thresher {
namespace {

enum class Kind { kMinimal, kSeparation, kRepeat, kCodeBlock, kShape, kRowNumber, kReplace };
enum class ParameterKind { kNone, kEncoder, kString, kInteger };

struct EncoderName {
  std::string_view name;
  std::string_view alias;
  Kind kind;
  ParameterKind parameter_kind;
  std::string_view parameter;
};

constexpr std::array kEncoderNames = {
    EncoderName{"MinimalGridEncoder", "minimal", Kind::kMinimal, ParameterKind::kNone, ""},
    EncoderName{"GridWithSeparationEncoder", "separation", Kind::kSeparation,
                ParameterKind::kString, "sep"},
    EncoderName{"RepeatNumberEncoder", "repeat", Kind::kRepeat, ParameterKind::kInteger, "n"},
    EncoderName{"GridCodeBlockEncoder", "code_block", Kind::kCodeBlock, ParameterKind::kEncoder,
                "inner"},
    EncoderName{"GridShapeEncoder", "shape", Kind::kShape, ParameterKind::kEncoder, "inner"},
    EncoderName{"RowNumberEncoder", "row_number", Kind::kRowNumber, ParameterKind::kEncoder,
                "inner"},
    EncoderName{"ReplaceNumberEncoder", "replace", Kind::kReplace, ParameterKind::kEncoder,
                "inner"},
};

constexpr std::string_view kKnownEncoders =
    "known encoders: MinimalGridEncoder(), GridWithSeparationEncoder('|'), "
    "RepeatNumberEncoder(n=3), GridCodeBlockEncoder(inner), GridShapeEncoder(inner), "
    "RowNumberEncoder(inner), ReplaceNumberEncoder(inner)";

std::string_view DescribeParameter(ParameterKind kind) {
  if (kind == ParameterKind::kEncoder) return "an encoder";
  if (kind == ParameterKind::kString) return "a string in quotes";
  return "an integer";
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void AppendUtf8(uint32_t code_point, std::string& text) {
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xc0 | (code_point >> 6));
    text += static_cast<char>(0x80 | (code_point & 0x3f));
  } else {
    text += static_cast<char>(0xe0 | (code_point >> 12));
    text += static_cast<char>(0x80 | ((code_point >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (code_point & 0x3f));
  }
}

using Value = std::variant<std::monostate, std::unique_ptr<GridEncoder>, std::string, int64_t>;

class Parser {
 public:
  explicit Parser(std::string_view spec) : spec_(spec) {}

  Result<std::unique_ptr<GridEncoder>> Parse() {
    ASSIGN_OR_RETURN(std::unique_ptr<GridEncoder> encoder, ParseEncoder(1));
    SkipSpace();
    if (at_ < spec_.size()) return ErrorHere("the end");
    return encoder;
  }

 private:
  void SkipSpace() {
    while (at_ < spec_.size() && IsSpace(spec_[at_])) ++at_;
  }

  bool Take(char character) {
    SkipSpace();
    if (at_ == spec_.size() || spec_[at_] != character) return false;
    ++at_;
    return true;
  }

  std::string_view TakeName() {
    SkipSpace();
    const size_t begin = at_;
    while (at_ < spec_.size() && IsNameCharacter(spec_[at_])) ++at_;
    return spec_.substr(begin, at_ - begin);
  }

  // A name, a number, or a single character: what a message calls the thing at `begin`.
  std::string FoundAt(size_t begin) const {
    if (begin >= spec_.size()) return "the end";
    size_t end = begin;
    while (end < spec_.size() && IsNameCharacter(spec_[end])) ++end;
    if (end == begin) ++end;
    // A whole character, not its first byte.
    while (end < spec_.size() && (static_cast<unsigned char>(spec_[end]) & 0xc0) == 0x80) ++end;
    return Quoted(spec_.substr(begin, end - begin));
  }

  Status ErrorAt(size_t position, std::string_view what) const {
    const std::string_view before = spec_.substr(0, position);
    const auto characters = std::count_if(before.begin(), before.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    });
    return InvalidArgument(fmt::format("grid encoder {}: at character {}: {}; {}", Quoted(spec_),
                                       characters + 1, what, kKnownEncoders));
  }

  Status ErrorHere(std::string_view expected) {
    SkipSpace();
    return ErrorAt(at_, fmt::format("expected {}, found {}", expected, FoundAt(at_)));
  }

  Result<std::unique_ptr<GridEncoder>> ParseEncoder(int depth) {
    SkipSpace();
    const size_t begin = at_;
    const std::string_view name = TakeName();
    const auto* encoder = std::find_if(
        kEncoderNames.begin(), kEncoderNames.end(),
        [&](const EncoderName& known) { return name == known.name || name == known.alias; });
    if (encoder == kEncoderNames.end()) {
      return ErrorAt(begin,
                     fmt::format("expected the name of an encoder, found {}", FoundAt(begin)));
    }
    if (depth > kMaxGridEncoderDepth) {
      return ErrorAt(begin,
                     fmt::format("encoders nested deeper than {} levels", kMaxGridEncoderDepth));
    }
    const bool within_replace = within_replace_;
    if (encoder->kind == Kind::kReplace) {
      if (within_replace) {
        return ErrorAt(begin, "a ReplaceNumberEncoder inside another: no digit is left to replace");
      }
      within_replace_ = true;
    }
    ASSIGN_OR_RETURN(Value value, ParseArguments(*encoder, depth));
    within_replace_ = within_replace;
    return Make(*encoder, std::move(value));
  }

  Result<Value> ParseArguments(const EncoderName& encoder, int depth) {
    Value value;
    const bool has_parentheses = Take('(');
    while (has_parentheses && !Take(')')) {
      if (encoder.parameter_kind == ParameterKind::kNone) {
        return ErrorHere(fmt::format("')', as {} takes no argument", encoder.name));
      }
      if (!std::holds_alternative<std::monostate>(value)) {
        return ErrorHere(fmt::format("')', as {} takes one argument", encoder.name));
      }
      ASSIGN_OR_RETURN(value, ParseArgument(encoder, depth));
      if (Take(')')) break;
      if (!Take(',')) return ErrorHere("',' or ')'");
    }
    const bool optional = encoder.kind == Kind::kRepeat || encoder.kind == Kind::kMinimal;
    if (std::holds_alternative<std::monostate>(value) && !optional) {
      if (has_parentheses) --at_;  // the place of the argument: before ')'
      return ErrorHere(fmt::format("{} for '{}' of {}", DescribeParameter(encoder.parameter_kind),
                                   encoder.parameter, encoder.name));
    }
    return value;
  }

  Result<Value> ParseArgument(const EncoderName& encoder, int depth) {
    SkipSpace();
    const size_t begin = at_;
    if (const std::string_view name = TakeName(); !name.empty() && Take('=')) {
      if (name != encoder.parameter) {
        return ErrorAt(begin, fmt::format("expected '{}', the only parameter of {}, found {}",
                                          encoder.parameter, encoder.name, Quoted(name)));
      }
    } else {
      at_ = begin;
    }
    SkipSpace();
    argument_begin_ = at_;
    const std::string expected =
        fmt::format("{} for '{}' of {}", DescribeParameter(encoder.parameter_kind),
                    encoder.parameter, encoder.name);
    switch (encoder.parameter_kind) {
      case ParameterKind::kEncoder: {
        if (at_ == spec_.size() || !IsNameCharacter(spec_[at_])) return ErrorHere(expected);
        ASSIGN_OR_RETURN(std::unique_ptr<GridEncoder> inner, ParseEncoder(depth + 1));
        return Value(std::move(inner));
      }
      case ParameterKind::kString: {
        ASSIGN_OR_RETURN(std::string text, ParseString(expected));
        return Value(std::move(text));
      }
      default: {
        ASSIGN_OR_RETURN(const int64_t number, ParseInteger(expected));
        return Value(number);
      }
    }
  }

  Result<int64_t> ParseInteger(std::string_view expected) {
    const size_t begin = at_;
    if (at_ < spec_.size() && spec_[at_] == '-') ++at_;
    while (at_ < spec_.size() && IsNameCharacter(spec_[at_])) ++at_;
    int64_t number = 0;
    const char* const end = spec_.data() + at_;
    const auto [parsed_end, error] = std::from_chars(spec_.data() + begin, end, number);
    if (begin == at_ || error != std::errc() || parsed_end != end) {
      at_ = begin;
      return ErrorHere(expected);
    }
    return number;
  }

  Result<std::string> ParseString(std::string_view expected) {
    if (at_ == spec_.size() || (spec_[at_] != '\'' && spec_[at_] != '"')) {
      return ErrorHere(expected);
    }
    const size_t begin = at_;
    const char quote = spec_[at_++];
    std::string text;
    while (at_ < spec_.size() && spec_[at_] != quote) {
      if (spec_[at_] == '\\') {
        RETURN_IF_ERROR(ParseEscape(text));
      } else {
        text += spec_[at_++];
      }
    }
    if (at_ == spec_.size()) {
      return ErrorAt(begin, fmt::format("a string that is not closed with {}", quote));
    }
    ++at_;
    return text;
  }

  Status ParseEscape(std::string& text) {
    const size_t begin = at_++;
    const char letter = at_ < spec_.size() ? spec_[at_++] : '\0';
    switch (letter) {
      case '\\':
      case '\'':
      case '"':
        text += letter;
        return OkStatus();
      case 'n':
        text += '\n';
        return OkStatus();
      case 'r':
        text += '\r';
        return OkStatus();
      case 't':
        text += '\t';
        return OkStatus();
      case 'x':
        return ParseHexEscape(begin, 2, text);
      case 'u':
        return ParseHexEscape(begin, 4, text);
      default:
        return ErrorAt(begin,
                       "expected one of the escapes \\\\ \\' \\\" \\n \\r \\t \\xHH \\uHHHH");
    }
  }

  Status ParseHexEscape(size_t begin, size_t digits, std::string& text) {
    const std::string_view hex = spec_.substr(at_, digits);
    uint32_t code_point = 0;
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), code_point, 16);
    if (hex.size() < digits || error != std::errc() || end != hex.data() + hex.size()) {
      return ErrorAt(begin, fmt::format("expected {} hexadecimal digits after \\{}", digits,
                                        spec_[begin + 1]));
    }
    if (code_point >= 0xd800 && code_point < 0xe000) {
      return ErrorAt(begin, "half of a surrogate pair; write the character itself");
    }
    at_ += digits;
    AppendUtf8(code_point, text);
    return OkStatus();
  }

  Result<std::unique_ptr<GridEncoder>> Make(const EncoderName& encoder, Value value) const {
    if (encoder.kind == Kind::kMinimal) return {std::make_unique<MinimalGridEncoder>()};
    if (encoder.kind == Kind::kSeparation) {
      auto& separator = std::get<std::string>(value);
      const Status status = GridWithSeparationEncoder::CheckSeparator(separator);
      if (!status.ok()) return ErrorAt(argument_begin_, status.message());
      return {std::make_unique<GridWithSeparationEncoder>(std::move(separator))};
    }
    if (encoder.kind == Kind::kRepeat) {
      if (std::holds_alternative<std::monostate>(value)) {
        return {std::make_unique<RepeatNumberEncoder>()};
      }
      const int64_t repeats = std::get<int64_t>(value);
      if (repeats < 1 || repeats > RepeatNumberEncoder::kMaxRepeats) {
        return ErrorAt(argument_begin_,
                       fmt::format("expected an integer from 1 to {} for 'n', found {}",
                                   RepeatNumberEncoder::kMaxRepeats, repeats));
      }
      return {std::make_unique<RepeatNumberEncoder>(static_cast<int>(repeats))};
    }
    auto inner = std::get<std::unique_ptr<GridEncoder>>(std::move(value));
    switch (encoder.kind) {
      case Kind::kCodeBlock:
        return {std::make_unique<GridCodeBlockEncoder>(std::move(inner))};
      case Kind::kShape:
        return {std::make_unique<GridShapeEncoder>(std::move(inner))};
      case Kind::kRowNumber:
        return {std::make_unique<RowNumberEncoder>(std::move(inner))};
      default:
        return {std::make_unique<ReplaceNumberEncoder>(std::move(inner))};
    }
  }

  const std::string_view spec_;
  size_t at_ = 0;              // bytes
  size_t argument_begin_ = 0;  // of the argument read last
  bool within_replace_ = false;
};

}  // namespace

Result<std::unique_ptr<GridEncoder>> ParseGridEncoder(std::string_view spec) {
  return Parser(spec).Parse();
}

}  // namespace thresher
