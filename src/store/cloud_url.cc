#include "store/cloud_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/scrub.h"
#include "store/store.h"

namespace thresher {
namespace {

constexpr std::pair<std::string_view, Cloud> kSchemes[] = {
    {"gs://", Cloud::kGcs}, {"s3://", Cloud::kS3}, {"az://", Cloud::kAzure}};

// The letters of bucket and container names in all three clouds; each cloud has more rules.
bool IsBucketName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '$';
  });
}

}  // namespace

std::string CloudUrl::Text() const {
  std::string text;
  for (const auto& [scheme, other] : kSchemes) {
    if (other == cloud) text = scheme;
  }
  text += bucket;
  if (!folder.empty()) text += "/" + folder;
  return text;
}

bool LooksLikeAnAddress(std::string_view path) {
  const size_t colon = path.find(":/");
  return colon != path.npos && colon > 0 &&
         path.substr(0, colon).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") ==
             path.npos;
}

bool IsCloudUrl(std::string_view url) {
  return std::any_of(std::begin(kSchemes), std::end(kSchemes),
                     [url](const auto& scheme) { return url.starts_with(scheme.first); });
}

Result<CloudUrl> ParseCloudUrl(std::string_view url) {
  CloudUrl parsed;
  std::string_view rest;
  for (const auto& [scheme, cloud] : kSchemes) {
    if (!url.starts_with(scheme)) continue;
    parsed.cloud = cloud;
    rest = url.substr(scheme.size());
  }
  const std::string shown = ScrubAddress(url);
  if (MayHoldSecret(url)) {
    return InvalidArgument(
        fmt::format("\"{}\": an address has no user information and no query; credentials come "
                    "from the environment",
                    shown));
  }
  const size_t slash = rest.find('/');
  parsed.bucket = rest.substr(0, slash);
  if (!IsBucketName(parsed.bucket)) {
    return InvalidArgument(
        fmt::format("\"{}\" names no bucket; write gs://BUCKET/FOLDER, s3://BUCKET/FOLDER or "
                    "az://CONTAINER/FOLDER (the storage account comes from the environment)",
                    shown));
  }
  if (slash == std::string_view::npos) return parsed;
  rest.remove_prefix(slash + 1);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty()) return parsed;
  parsed.folder = rest;
  RETURN_IF_ERROR(CheckKey(parsed.folder).WithContext(fmt::format("\"{}\"", shown)));
  return parsed;
}

}  // namespace thresher
