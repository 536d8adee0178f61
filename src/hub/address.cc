#include "hub/address.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/http_request.h"
#include "base/json.h"

namespace thresher {
namespace {

constexpr std::string_view kScheme = "hf://";
constexpr std::string_view kRightModel = "hf://Qwen/Qwen2.5-0.5B@main";
constexpr std::string_view kRightDataset = "hf://datasets/openai/gsm8k@main/main/train-*.parquet";
constexpr size_t kMaxNameBytes = 96;  // of owner and name together, as the hub itself has it

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// What is wrong with an owner or a name; "" if nothing.
std::string NameFault(std::string_view name) {
  if (name.empty()) return "is empty";
  for (const char c : name) {
    if (!IsWordCharacter(c) && c != '-' && c != '.') {
      return "may hold only letters, digits, '-', '_' and '.'";
    }
  }
  if (!IsWordCharacter(name.front()) || !IsWordCharacter(name.back())) {
    return "must begin and end with a letter, a digit or '_'";
  }
  if (name.find("--") != name.npos || name.find("..") != name.npos) {
    return "may not hold '--' or '..'";
  }
  if (name.ends_with(".git")) return "may not end with .git";
  return "";
}

std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string decoded;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      decoded += text[at];
      continue;
    }
    const std::string digits(text.substr(at + 1, 2));
    if (digits.size() != 2 || std::isxdigit(static_cast<unsigned char>(digits[0])) == 0 ||
        std::isxdigit(static_cast<unsigned char>(digits[1])) == 0) {
      return std::nullopt;
    }
    decoded += static_cast<char>(std::stoi(digits, nullptr, 16));
    at += 2;
  }
  return decoded;
}

// The bytes of "refs/convert/WORD" or "refs/pr/NUMBER" at the beginning of `text`; 0 if there are
// none.
size_t SpecialRevisionBytes(std::string_view text) {
  for (const std::string_view start : {"refs/convert/", "refs/pr/"}) {
    if (!text.starts_with(start)) continue;
    size_t end = start.size();
    while (end < text.size() && IsWordCharacter(text[end])) ++end;
    if (end > start.size()) return end;
  }
  return 0;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), rest_(text) {}

  Result<HubAddress> Parse() {
    if (!IsHubAddress(text_)) return Wrong("does not begin with hf://");
    if (text_.find_first_of("\r\n\t ") != text_.npos) return Wrong("holds white space");
    rest_.remove_prefix(kScheme.size());
    TakeKind();
    if (rest_.starts_with("spaces/")) return Wrong("names a space, not a model or a data set");
    RETURN_IF_ERROR(TakeRepository());
    RETURN_IF_ERROR(TakeRevision());
    RETURN_IF_ERROR(TakePath());
    return address_;
  }

 private:
  Status Wrong(const std::string& fault) const {
    return InvalidArgument(fmt::format(
        "{} {}; expected hf://OWNER/NAME[@REVISION] for a model or hf://datasets/OWNER/NAME"
        "[@REVISION][/PATH] for a data set, for example {}",
        Quoted(text_), fault, address_.kind == HubKind::kModel ? kRightModel : kRightDataset));
  }

  void TakeKind() {
    const auto take = [&](std::string_view word) {
      if (!rest_.starts_with(word)) return false;
      rest_.remove_prefix(word.size());
      return true;
    };
    if (take("datasets/")) {
      address_.kind = HubKind::kDataset;
    } else {
      take("models/");
    }
  }

  // "owner/name" or "name", up to "@", the next "/" or the end.
  Status TakeRepository() {
    size_t end = std::min(rest_.find_first_of("/@"), rest_.size());
    if (end < rest_.size() && rest_[end] == '/') {
      end = std::min(rest_.find_first_of("/@", end + 1), rest_.size());
    }
    address_.repository = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (address_.repository.ends_with('/') && rest_.empty()) address_.repository.pop_back();
    const std::string_view whole = address_.repository;
    const size_t slash = whole.find('/');
    if (slash != whole.npos) {
      if (const std::string fault = NameFault(whole.substr(0, slash)); !fault.empty()) {
        return Wrong("has an owner that " + fault);
      }
    }
    const std::string_view name = slash == whole.npos ? whole : whole.substr(slash + 1);
    if (const std::string fault = NameFault(name); !fault.empty()) {
      return Wrong("has a name that " + fault);
    }
    if (whole.size() > kMaxNameBytes) return Wrong("has a name of more than 96 characters");
    return OkStatus();
  }

  Status TakeRevision() {
    if (!rest_.starts_with('@')) return OkStatus();
    rest_.remove_prefix(1);
    size_t end = SpecialRevisionBytes(rest_);
    if (end == 0 || (end < rest_.size() && rest_[end] != '/')) {
      end = std::min(rest_.find('/'), rest_.size());
    }
    const std::optional<std::string> revision = PercentDecoded(rest_.substr(0, end));
    rest_.remove_prefix(end);
    if (!revision.has_value()) return Wrong("has a revision with a '%' that escapes nothing");
    if (!IsSafePath(*revision)) {
      return Wrong("has the revision " + Quoted(*revision) +
                   ", which cannot be the name of a branch, a tag or a commit");
    }
    address_.revision = *revision;
    return OkStatus();
  }

  Status TakePath() {
    while (rest_.starts_with('/')) rest_.remove_prefix(1);
    while (rest_.ends_with('/')) rest_.remove_suffix(1);
    if (rest_.empty()) return OkStatus();
    if (address_.kind == HubKind::kModel) {
      return Wrong("goes on with " + Quoted(rest_) +
                   " after the model's name (a '/' in a revision is written %2F)");
    }
    if (!IsSafePath(rest_)) return Wrong("has the path " + Quoted(rest_) + ", which is none");
    address_.path = rest_;
    return OkStatus();
  }

  const std::string_view text_;
  std::string_view rest_;
  HubAddress address_;
};

}  // namespace

std::string HubAddress::Text() const {
  std::string text(kScheme);
  if (kind == HubKind::kDataset) text += "datasets/";
  // "hf://models/x" or "hf://datasets/x" would read as a kind.
  if (kind == HubKind::kModel &&
      (repository.starts_with("datasets/") || repository.starts_with("models/") ||
       repository.starts_with("spaces/"))) {
    text += "models/";
  }
  text += repository + "@";
  const bool is_special = SpecialRevisionBytes(revision) == revision.size();
  text += PercentEncoded(revision, is_special ? "/" : "");
  if (!path.empty()) text += "/" + path;
  return text;
}

bool IsHubAddress(std::string_view text) { return text.starts_with(kScheme); }

Result<HubAddress> ParseHubAddress(std::string_view text) { return Parser(text).Parse(); }

bool IsCommitHash(std::string_view revision) {
  return revision.size() == 40 && std::all_of(revision.begin(), revision.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool IsSafePath(std::string_view path) {
  const auto is_bad = [](char c) {
    return c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  };
  if (std::any_of(path.begin(), path.end(), is_bad)) return false;
  size_t start = 0;
  while (true) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == path.size()) return true;
    start = end + 1;
  }
}

}  // namespace thresher
