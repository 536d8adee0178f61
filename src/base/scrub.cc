#include "base/scrub.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace thresher {
namespace {

constexpr size_t kMaxBytes = 1000;
constexpr std::string_view kHidden = "***";

// What names end with, in lower case and without '-' and '_', whose values are secret.
constexpr std::array<std::string_view, 15> kSecretNames = {
    "authorization", "signature",  "sig",      "token",        "bearer",
    "accesskey",     "accountkey", "password", "secret",       "credential",
    "privatekey",    "assertion",  "apikey",   "clientsecret", "sharedkey"};

bool IsNameLetter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
}

// The end of a value, which may be quoted, and of what may follow a scheme such as "Bearer".
bool EndsValue(char c) { return std::string_view("&;,\"'<>)}] \t").find(c) != std::string::npos; }

std::string Folded(std::string_view name) {
  std::string folded;
  for (const char c : name) {
    if (c != '-' && c != '_')
      folded += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return folded;
}

bool IsSecretName(std::string_view name) {
  const std::string folded = Folded(name);
  if (folded.starts_with("xamz")) return true;
  return std::any_of(kSecretNames.begin(), kSecretNames.end(),
                     [&](std::string_view secret) { return folded.ends_with(secret); });
}

// Words that stand before a secret as in "Authorization: Bearer abc", themselves none.
bool IsScheme(std::string_view word) {
  const std::string folded = Folded(word);
  return folded == "bearer" || folded == "basic" || folded == "aws4hmacsha256" ||
         folded == "sharedkey" || folded == "sharedkeylite";
}

// Copies a URL from `text`, which begins with its "://", and returns its length there.
size_t CopyUrl(std::string_view text, std::string& out) {
  const size_t end = std::min(text.find_first_of(" \t\"'<>)}]"), text.size());
  std::string_view url = text.substr(3, end - 3);
  out += "://";
  const std::string_view host = url.substr(0, url.find_first_of("/?#"));
  if (const size_t at = host.rfind('@'); at != host.npos) {
    out += kHidden;
    url.remove_prefix(at);
  }
  const size_t query = url.find('?');
  out += url.substr(0, query);
  if (query != url.npos) out.append("?").append(kHidden);
  return end;
}

// Copies "= value" or ": value" after a secret name from `text`, hidden, and returns its length
// there; 0 if there is none.
size_t HideValue(std::string_view text, std::string& out) {
  size_t at = 0;
  const auto skip = [&](std::string_view letters) {
    const size_t from = at;
    at = std::min(text.find_first_not_of(letters, at), text.size());
    return text.substr(from, at - from);
  };
  const std::string_view before = skip(" \t\"'\\");
  const std::string_view sign = skip("=:>");
  if (sign.empty()) return 0;
  const std::string_view after = skip(" \t\"'\\");
  out.append(before).append(sign).append(after).append(kHidden);
  while (true) {
    const size_t from = at;
    while (at < text.size() && !EndsValue(text[at])) ++at;
    if (!IsScheme(text.substr(from, at - from)) || at == text.size() || text[at] != ' ') return at;
    ++at;
  }
}

// The length of "https://" or the like before an address; 0 if there is none.
size_t SchemeBytes(std::string_view address) {
  const size_t end = address.find("://");
  if (end == address.npos || !std::all_of(address.begin(), address.begin() + end, IsNameLetter))
    return 0;
  return end + 3;
}

}  // namespace

std::string ScrubSecrets(std::string_view text) {
  std::string lines(text.substr(0, 4 * kMaxBytes));
  std::replace_if(
      lines.begin(), lines.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  std::string_view rest = lines;
  std::string out;
  while (!rest.empty()) {
    if (rest.starts_with("://")) {
      rest.remove_prefix(CopyUrl(rest, out));
    } else if (IsNameLetter(rest[0])) {
      const size_t letters =
          std::find_if_not(rest.begin(), rest.end(), IsNameLetter) - rest.begin();
      const std::string_view name = rest.substr(0, letters);
      out += name;
      rest.remove_prefix(letters);
      if (IsSecretName(name)) rest.remove_prefix(HideValue(rest, out));
    } else {
      out += rest[0];
      rest.remove_prefix(1);
    }
  }
  if (out.size() > kMaxBytes) out = out.substr(0, kMaxBytes) + "...";
  return out;
}

bool MayHoldSecret(std::string_view address) {
  const std::string_view rest = address.substr(SchemeBytes(address));
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const bool has_at = rest.find('@') != rest.npos;
  return rest.find('?') != rest.npos || authority.find('@') != rest.npos ||
         (has_at && authority.find(':') != rest.npos);
}

std::string ScrubAddress(std::string_view address) {
  std::string out(address.substr(0, SchemeBytes(address)));
  address.remove_prefix(out.size());
  const size_t query = address.find('?');
  const size_t at = address.rfind('@');
  if (at != address.npos) out += kHidden;
  // With '?' before '@', either may be of a password.
  if (at != address.npos && query < at) return out;
  const size_t from = at == address.npos ? 0 : at;
  out += address.substr(from, query == address.npos ? query : query - from);
  if (query != address.npos) out.append("?").append(kHidden);
  return ScrubSecrets(out);
}

}  // namespace thresher
