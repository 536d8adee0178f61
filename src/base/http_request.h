#ifndef THRESHER_BASE_HTTP_REQUEST_H_
#define THRESHER_BASE_HTTP_REQUEST_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace thresher {

struct HttpRequest {
  std::string method = "GET";
  std::string url = {};  // "http://169.254.169.254/latest/meta-data/spot/instance-action"
  std::vector<std::pair<std::string, std::string>> headers = {};  // name, value
  int64_t timeout_ms = 2000;  // from the call to the last byte of the answer
};

struct HttpResponse {
  int64_t status = 0;     // 200, 404, ...
  std::string body = {};  // at most kMaxHttpBodyBytes
};

inline constexpr int64_t kMaxHttpBodyBytes = 64 << 10;

// Sends one small request, such as those to the metadata servers of clouds, and waits for the whole
// answer, whatever its status. Redirects are not followed and proxies not used, because link-local
// addresses mean this machine only. kUnavailable when nobody answers in time, kInvalidArgument for
// a request that cannot be sent, kDataLoss for an answer longer than kMaxHttpBodyBytes. Any thread
// may call it.
Result<HttpResponse> SendHttpRequest(const HttpRequest& request);

}  // namespace thresher

#endif  // THRESHER_BASE_HTTP_REQUEST_H_
