#include "hub/remote_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/http_request.h"
#include "base/json.h"

namespace thresher {
namespace {

bool HasBody(const HubReply& reply) {
  return reply.response.status == 200 || reply.response.status == 206;
}

}  // namespace

RemoteFile::RemoteFile(const HubClient& client, const HubAddress& address,
                       const std::string& commit, const std::string& path, int64_t file_bytes)
    : client_(client),
      address_(address),
      path_(path),
      hub_url_(client.FileUrl(address, commit, path)),
      file_bytes_(file_bytes) {}

Result<std::string> RemoteFile::Fetch(int64_t first_byte, int64_t byte_count) {
  HubClient::Get get = {.url = hub_url_, .first_byte = first_byte};
  if (byte_count < file_bytes_) get.byte_count = byte_count;
  get.max_body_bytes = std::max(byte_count, kMaxHttpBodyBytes);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!direct_url_.empty()) get.url = direct_url_;
  }
  const bool is_direct = get.url != hub_url_;
  Result<HubReply> reply = client_.Send(get);
  if (is_direct && (!reply.ok() || !HasBody(*reply))) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (direct_url_ == get.url) direct_url_.clear();
    }
    get.url = hub_url_;
    reply = client_.Send(get);
  }
  if (!reply.ok()) return reply.status().WithContext(path_ + " of " + address_.Text());
  if (!HasBody(*reply)) return client_.Refusal(*reply, address_, path_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (reply->url != hub_url_) direct_url_ = reply->url;
  }
  return BytesOf(*std::move(reply), first_byte, byte_count);
}

Result<std::string> RemoteFile::BytesOf(HubReply reply, int64_t first_byte,
                                        int64_t byte_count) const {
  const std::string from = UrlForPeople(reply.url);
  std::string body = std::move(reply.response.body);
  const auto body_bytes = static_cast<int64_t>(body.size());
  if (reply.response.status == 206) {
    const std::string_view range = reply.response.Header("content-range");
    if (!range.starts_with(fmt::format("bytes {}-", first_byte))) {
      return DataLoss(
          fmt::format("{}: asked for the bytes from {} on, and the answer's "
                      "Content-Range is {}",
                      from, first_byte, Quoted(range)));
    }
  } else if (body_bytes == file_bytes_) {
    // The server does not know ranges and sent everything.
    body = body.substr(static_cast<size_t>(first_byte), static_cast<size_t>(byte_count));
  }
  if (static_cast<int64_t>(body.size()) == byte_count) return body;
  return DataLoss(
      fmt::format("{} gave {} bytes instead of {}: {} of {} has {} bytes as the hub "
                  "lists it",
                  from, body_bytes, byte_count, path_, address_.Text(), file_bytes_));
}

}  // namespace thresher
