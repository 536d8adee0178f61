#include "base/http_request.h"

#include "base/rust_memory.h"
#include "rust/thresher_rust.h"

namespace thresher {

Result<HttpResponse> SendHttpRequest(const HttpRequest& request) {
  std::string lines = request.method + '\n' + request.url;
  const auto is_line = [](const std::string& text) { return text.find('\n') == text.npos; };
  bool are_lines = is_line(request.method) && is_line(request.url);
  for (const auto& [name, value] : request.headers) {
    are_lines = are_lines && is_line(name) && is_line(value);
    lines += '\n' + name + '\n' + value;
  }
  if (!are_lines) return InvalidArgument("an HTTP request with a line break in one of its parts");
  RustBytes error;
  ThresherHttpResponse rust_response = {0, {nullptr, 0}};
  const int32_t outcome = thresher_http_request(RustData(lines), lines.size(), request.timeout_ms,
                                                kMaxHttpBodyBytes, &rust_response, error.out());
  RustBytes body;
  *body.out() = rust_response.body;
  RETURN_IF_ERROR(RustStatus(outcome, error).WithContext(request.method + " " + request.url));
  return HttpResponse{.status = rust_response.status, .body = std::string(body.view())};
}

}  // namespace thresher
