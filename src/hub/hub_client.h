#ifndef THRESHER_HUB_HUB_CLIENT_H_
#define THRESHER_HUB_HUB_CLIENT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/http_request.h"
#include "base/result.h"
#include "hub/address.h"
#include "hub/hub_settings.h"

namespace thresher {

// What a hub, or the server that it named, answered in the end.
struct HubReply {
  HttpResponse response;
  std::string url;  // the last one asked; may hold a signature: never for people
};

// Sends requests to one hub. The token goes to the origin (scheme, host, port) of the endpoint and
// to no other, wherever redirects lead. All functions may be called from any thread.
class HubClient {
 public:
  struct Get {
    std::string url = {};
    int64_t first_byte = 0;
    int64_t byte_count = -1;  // so many bytes from first_byte on; -1 for the whole answer
    int64_t max_body_bytes = int64_t{64} << 20;
    int64_t retry_budget_ms = 0;  // 0: that of the settings
  };

  // kInvalidArgument for an endpoint that is no URL. `clock` outlives the client.
  static Result<HubClient> Create(const HubSettings& settings, Clock& clock);

  // Asks, follows redirects, and asks again while the server is in trouble, with pauses that grow
  // or are as long as the server wants. Any status that trying again does not change is a reply.
  // kUnavailable when the budget is used up.
  Result<HubReply> Send(const Get& get) const;

  // "https://huggingface.co/api/datasets/owner/name"
  std::string ApiUrl(const HubAddress& address) const;
  // "https://huggingface.co/datasets/owner/name": the page for people
  std::string PageUrl(const HubAddress& address) const;
  // "https://huggingface.co/datasets/owner/name/resolve/COMMIT/PATH"
  std::string FileUrl(const HubAddress& address, std::string_view commit,
                      std::string_view path) const;

  // Why the hub did not give what was asked for; `reply` has a status other than 200 and 206.
  // `file` is "" for questions about the whole repository.
  Status Refusal(const HubReply& reply, const HubAddress& address, std::string_view file) const;

 private:
  HubClient(HubSettings settings, UrlParts endpoint, Clock& clock, uint64_t jitter_seed);

  Result<HubReply> SendOnce(const Get& get) const;
  HttpRequest RequestFor(const Get& get, const std::string& url, const UrlParts& parts) const;
  Status GaveUp(const Result<HubReply>& reply, int64_t attempts, int64_t spent_ms,
                int64_t pause_ms) const;
  int64_t PauseMs(const Result<HubReply>& reply, int64_t attempt) const;

  HubSettings settings_;
  UrlParts endpoint_;
  Clock* clock_;
  uint64_t jitter_seed_;
};

}  // namespace thresher

#endif  // THRESHER_HUB_HUB_CLIENT_H_
