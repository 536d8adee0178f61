#ifndef THRESHER_BASE_HTTP_REQUEST_H_
#define THRESHER_BASE_HTTP_REQUEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace thresher {

inline constexpr int64_t kMaxHttpBodyBytes = 64 << 10;

struct HttpRequest {
  std::string method = "GET";
  std::string url = {};  // "http://169.254.169.254/latest/meta-data/spot/instance-action"
  std::vector<std::pair<std::string, std::string>> headers = {};  // name, value
  int64_t timeout_ms = 2000;  // from the call to the last byte of the answer
  int64_t max_body_bytes = kMaxHttpBodyBytes;
};

struct HttpResponse {
  int64_t status = 0;                                             // 200, 404, ...
  std::string body = {};                                          // at most max_body_bytes
  std::vector<std::pair<std::string, std::string>> headers = {};  // name in lower case, value

  // The value of the first header of that name (in lower case); "" if there is none. Valid as long
  // as this object.
  std::string_view Header(std::string_view name) const;
};

// Sends one request and waits for the whole answer, whatever its status. Redirects are answers too.
// Loopback and link-local addresses mean this machine, so that no proxy is used for them; for all
// others the proxies of the environment are. kUnavailable when nobody answers in time, or a server
// sends nothing for 30 s; kInvalidArgument for a request that cannot be sent; kDataLoss for an
// answer longer than max_body_bytes. Messages hold the URL without its query and
// user information, which may be secret. Any thread may call it.
Result<HttpResponse> SendHttpRequest(const HttpRequest& request);

// An HTTP URL in three parts: "https://user:pass@Host:443/a?b" -> "https", "host", "/a?b". User
// information is left out, and so is the port that is the scheme's own.
struct UrlParts {
  std::string scheme;     // "http" or "https"
  std::string authority;  // "host" or "host:port"
  std::string target;     // "/..." or ""

  std::string Origin() const { return scheme + "://" + authority; }
};

// kInvalidArgument for anything that is not an HTTP URL; its message does not repeat the text.
Result<UrlParts> SplitHttpUrl(std::string_view url);

// The URL that a "Location" header means in an answer of `base`.
Result<std::string> ResolveHttpUrl(const UrlParts& base, std::string_view location);

// A URL as messages show it: without user information, query and fragment, which may be secret.
std::string UrlForPeople(std::string_view url);

// "a b/c" -> "a%20b%2Fc": everything but letters, digits and "-._~" is escaped, and `kept` not.
std::string PercentEncoded(std::string_view text, std::string_view kept = "");

}  // namespace thresher

#endif  // THRESHER_BASE_HTTP_REQUEST_H_
