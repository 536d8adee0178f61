#include "hub/hub_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/byte_size.h"
#include "base/json.h"
#include "base/random.h"

namespace thresher {
namespace {

constexpr int kMaxRedirects = 8;
constexpr int64_t kFirstPauseMs = 500;
constexpr int64_t kLongestPauseMs = 20'000;
constexpr int64_t kAnswerTimeoutMs = 30'000;
constexpr int64_t kSlowestBytesPerMs = 64;  // a piece that comes slower is asked for again

bool IsRedirect(int64_t status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool IsTransient(int64_t status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

std::optional<int64_t> Seconds(std::string_view text) {
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end == text.data() || seconds < 0) return std::nullopt;
  return std::min<int64_t>(seconds, 1'000'000);
}

// How long the server asks to be left alone: "Retry-After: 30", or RateLimit: "api";r=0;t=30 of the
// IETF's draft.
std::optional<int64_t> AskedPauseMs(const HttpResponse& response) {
  std::optional<int64_t> seconds = Seconds(response.Header("retry-after"));
  if (!seconds.has_value() && response.status == 429) {
    const std::string_view limit = response.Header("ratelimit");
    const size_t at = limit.find(";t=");
    if (at != limit.npos) seconds = Seconds(limit.substr(at + 3));
  }
  if (!seconds.has_value()) return std::nullopt;
  return *seconds * 1000;
}

std::string WhatFailed(const Result<HubReply>& reply) {
  if (!reply.ok()) return reply.status().message();
  return fmt::format("{} answered with status {}", UrlForPeople(reply->url),
                     reply->response.status);
}

}  // namespace

HubClient::HubClient(HubSettings settings, UrlParts endpoint, Clock& clock, uint64_t jitter_seed)
    : settings_(std::move(settings)),
      endpoint_(std::move(endpoint)),
      clock_(&clock),
      jitter_seed_(jitter_seed) {}

Result<HubClient> HubClient::Create(const HubSettings& settings, Clock& clock) {
  Result<UrlParts> endpoint = SplitHttpUrl(settings.endpoint);
  if (!endpoint.ok()) return endpoint.status().WithContext("HF_ENDPOINT");
  return HubClient(settings, *std::move(endpoint), clock, SeedOf(RandomSessionId()));
}

Result<HubReply> HubClient::Send(const Get& get) const {
  const int64_t trouble_budget_ms =
      get.retry_budget_ms > 0 ? get.retry_budget_ms : settings_.retry_budget_ms;
  int64_t limited_ms = 0;  // waited because the server wants less often to be asked
  int64_t trouble_ms = 0;  // tried and waited for other reasons
  for (int64_t attempt = 0;; ++attempt) {
    const int64_t start_ms = clock_->MonotonicMs();
    Result<HubReply> reply = SendOnce(get);
    if (!reply.ok() && reply.status().code() != Code::kUnavailable) return reply.status();
    if (reply.ok() && !IsTransient(reply->response.status)) return reply;
    const bool is_limited = reply.ok() && reply->response.status == 429;
    const int64_t pause_ms = PauseMs(reply, attempt);
    int64_t& spent_ms = is_limited ? limited_ms : trouble_ms;
    spent_ms += clock_->MonotonicMs() - start_ms;
    if (spent_ms + pause_ms > (is_limited ? settings_.rate_limit_budget_ms : trouble_budget_ms)) {
      return GaveUp(reply, attempt + 1, limited_ms + trouble_ms, pause_ms);
    }
    clock_->SleepMs(pause_ms);
    spent_ms += pause_ms;
  }
}

Status HubClient::GaveUp(const Result<HubReply>& reply, int64_t attempts, int64_t spent_ms,
                         int64_t pause_ms) const {
  std::string advice = "; check the network, HF_ENDPOINT and HTTPS_PROXY";
  if (reply.ok() && reply->response.status == 429) {
    advice = ", and it wants to be left alone for " + FormatDuration(pause_ms) +
             " more: come back later";
    if (settings_.token.empty()) advice += " or set HF_TOKEN, which has a limit of its own";
  }
  return Unavailable(fmt::format("{}; tried {} times in {}{}", WhatFailed(reply), attempts,
                                 FormatDuration(spent_ms), advice));
}

int64_t HubClient::PauseMs(const Result<HubReply>& reply, int64_t attempt) const {
  if (reply.ok()) {
    if (const auto asked_ms = AskedPauseMs(reply->response)) {
      return std::max(*asked_ms, kFirstPauseMs);
    }
  }
  const int64_t longest_ms =
      std::min(kLongestPauseMs, kFirstPauseMs << std::min<int64_t>(attempt, 16));
  // Between half and all of it, so that thousands of workers do not come back in step.
  Random random(jitter_seed_ + static_cast<uint64_t>(attempt));
  return longest_ms / 2 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(longest_ms / 2)));
}

Result<HubReply> HubClient::SendOnce(const Get& get) const {
  HubReply reply;
  reply.url = get.url;
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    ASSIGN_OR_RETURN(const UrlParts parts, SplitHttpUrl(reply.url));
    ASSIGN_OR_RETURN(reply.response, SendHttpRequest(RequestFor(get, reply.url, parts)));
    const std::string_view location = reply.response.Header("location");
    if (!IsRedirect(reply.response.status) || location.empty()) return reply;
    Result<std::string> next = ResolveHttpUrl(parts, location);
    if (!next.ok() || (parts.scheme == "https" && next->starts_with("http:"))) {
      return FailedPrecondition(UrlForPeople(reply.url) + " redirects to " +
                                Quoted(UrlForPeople(location)) + ", which is not safe to follow");
    }
    reply.url = *std::move(next);
  }
  return FailedPrecondition(
      fmt::format("{} redirects more than {} times", UrlForPeople(get.url), kMaxRedirects));
}

HttpRequest HubClient::RequestFor(const Get& get, const std::string& url,
                                  const UrlParts& parts) const {
  HttpRequest request = {.url = url, .max_body_bytes = get.max_body_bytes};
  request.headers = {{"User-Agent", "thresher"}, {"Accept-Encoding", "identity"}};
  if (!settings_.token.empty() && parts.Origin() == endpoint_.Origin()) {
    request.headers.emplace_back("Authorization", "Bearer " + settings_.token);
  }
  if (get.byte_count >= 0) {
    request.headers.emplace_back(
        "Range", fmt::format("bytes={}-{}", get.first_byte, get.first_byte + get.byte_count - 1));
  }
  request.timeout_ms = kAnswerTimeoutMs + get.max_body_bytes / kSlowestBytesPerMs;
  return request;
}

std::string HubClient::ApiUrl(const HubAddress& address) const {
  return settings_.endpoint +
         (address.kind == HubKind::kModel ? "/api/models/" : "/api/datasets/") + address.repository;
}

std::string HubClient::PageUrl(const HubAddress& address) const {
  return settings_.endpoint + (address.kind == HubKind::kModel ? "/" : "/datasets/") +
         address.repository;
}

std::string HubClient::FileUrl(const HubAddress& address, std::string_view commit,
                               std::string_view path) const {
  return PageUrl(address) + "/resolve/" + std::string(commit) + "/" + PercentEncoded(path, "/");
}

Status HubClient::Refusal(const HubReply& reply, const HubAddress& address,
                          std::string_view file) const {
  const HttpResponse& response = reply.response;
  const std::string_view code = response.Header("x-error-code");
  const std::string page = UrlForPeople(PageUrl(address));
  const std::string what =
      file.empty() ? address.Text() : fmt::format("{} of {}", file, address.Text());
  const char* kind = address.kind == HubKind::kModel ? "model" : "data set";
  const std::string token = settings_.token.empty()
                                ? "set HF_TOKEN to a token that may read it"
                                : "the token of HF_TOKEN or `hf auth login` may not read it";
  std::string said(response.Header("x-error-message"));
  if (!said.empty()) said = "; the hub said " + Quoted(said);
  if (code == "GatedRepo") {
    return PermissionDenied(fmt::format("{}: this {} is gated: accept its terms on {}, and {}{}",
                                        what, kind, page, token, said));
  }
  if (code == "RevisionNotFound") {
    return NotFound(
        fmt::format("{}: {} has no revision {}; its branches and tags are listed on {}{}", what,
                    address.repository, Quoted(address.revision), page, said));
  }
  if (code == "EntryNotFound") {
    return NotFound(
        fmt::format("{}: there is no such file in revision {}{}", what, address.revision, said));
  }
  // The hub answers 401 also for names that do not exist, so as not to tell which ones do.
  if (code == "RepoNotFound" || response.status == 401 || response.status == 404) {
    const std::string message = fmt::format(
        "{}: status {}: there is no such {}, or it is private: check the name ({}), or {}{}", what,
        response.status, kind, page, token, said);
    return response.status == 404 ? NotFound(message) : PermissionDenied(message);
  }
  if (response.status == 403) {
    return PermissionDenied(
        fmt::format("{}: status 403: not allowed: accept the terms on {} if it has any, and {}{}",
                    what, page, token, said));
  }
  return FailedPrecondition(fmt::format("{}: {} answered with status {}{}", what,
                                        UrlForPeople(reply.url), response.status, said));
}

}  // namespace thresher
