#include "base/http_request.h"

#include <algorithm>
#include <cctype>

#include "base/rust_memory.h"
#include "rust/thresher_rust.h"

namespace thresher {
namespace {

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// Takes the header lines off the beginning of `answer`; what is left is the body.
void TakeHeaders(std::string_view& answer, HttpResponse& response) {
  while (true) {
    const size_t line_end = answer.find('\n');
    THRESHER_CHECK(line_end != answer.npos);
    const std::string_view line = answer.substr(0, line_end);
    answer.remove_prefix(line_end + 1);
    if (line.empty()) return;
    const size_t colon = line.find(": ");
    THRESHER_CHECK(colon != line.npos);
    response.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
}

}  // namespace

std::string_view HttpResponse::Header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) return value;
  }
  return "";
}

Result<HttpResponse> SendHttpRequest(const HttpRequest& request) {
  std::string lines = request.method + '\n' + request.url;
  const auto is_line = [](const std::string& text) { return text.find('\n') == text.npos; };
  bool are_lines = is_line(request.method) && is_line(request.url);
  for (const auto& [name, value] : request.headers) {
    are_lines = are_lines && is_line(name) && is_line(value);
    lines.append(1, '\n').append(name).append(1, '\n').append(value);
  }
  if (!are_lines) return InvalidArgument("an HTTP request with a line break in one of its parts");
  RustBytes error;
  ThresherHttpResponse rust_response = {0, {nullptr, 0}};
  const int32_t outcome =
      thresher_http_request(RustData(lines), lines.size(), request.timeout_ms,
                            static_cast<size_t>(std::max<int64_t>(request.max_body_bytes, 0)),
                            &rust_response, error.out());
  RustBytes answer_bytes;
  *answer_bytes.out() = rust_response.body;
  RETURN_IF_ERROR(
      RustStatus(outcome, error).WithContext(request.method + " " + UrlForPeople(request.url)));
  HttpResponse response;
  response.status = rust_response.status;
  std::string_view answer = answer_bytes.view();
  TakeHeaders(answer, response);
  response.body = answer;
  return response;
}

Result<UrlParts> SplitHttpUrl(std::string_view url) {
  UrlParts parts;
  const size_t scheme_end = url.find("://");
  if (scheme_end != url.npos) parts.scheme = LowerCase(url.substr(0, scheme_end));
  if (parts.scheme != "http" && parts.scheme != "https") {
    return InvalidArgument("expected a URL that begins with http:// or https://");
  }
  const std::string_view rest = url.substr(scheme_end + 3);
  const size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, authority_end);
  if (const size_t at = authority.rfind('@'); at != authority.npos) authority.remove_prefix(at + 1);
  const std::string_view own_port = parts.scheme == "http" ? ":80" : ":443";
  if (authority.ends_with(own_port)) authority.remove_suffix(own_port.size());
  if (authority.empty()) return InvalidArgument("expected a URL with a host");
  parts.authority = LowerCase(authority);
  parts.target = rest.substr(authority_end);
  return parts;
}

Result<std::string> ResolveHttpUrl(const UrlParts& base, std::string_view location) {
  const size_t path_start = std::min(location.find_first_of("/?#"), location.size());
  if (location.substr(0, path_start).find(':') != location.npos) {
    RETURN_IF_ERROR(SplitHttpUrl(location).status());
    return std::string(location);
  }
  if (location.starts_with("//")) return base.scheme + ":" + std::string(location);
  if (location.starts_with("/")) return base.Origin() + std::string(location);
  const std::string path = base.target.substr(0, base.target.find_first_of("?#"));
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  return base.Origin() + (folder.empty() ? "/" : folder) + std::string(location);
}

std::string UrlForPeople(std::string_view url) {
  const Result<UrlParts> parts = SplitHttpUrl(url);
  if (!parts.ok()) return "an address that is no URL";
  return parts->Origin() + parts->target.substr(0, parts->target.find_first_of("?#"));
}

std::string PercentEncoded(std::string_view text, std::string_view kept) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = byte < 0x80 && (std::isalnum(byte) != 0);
    if (is_plain || std::string_view("-._~").find(c) != std::string_view::npos ||
        kept.find(c) != kept.npos) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[byte >> 4];
      encoded += kDigits[byte & 15];
    }
  }
  return encoded;
}

}  // namespace thresher
