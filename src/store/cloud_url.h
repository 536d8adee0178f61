#ifndef THRESHER_STORE_CLOUD_URL_H_
#define THRESHER_STORE_CLOUD_URL_H_

#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

enum class Cloud {
  kGcs,    // gs://
  kS3,     // s3://
  kAzure,  // az://
};

// "gs://bucket/a/b" in its parts.
struct CloudUrl {
  Cloud cloud = Cloud::kGcs;
  std::string bucket;  // of Azure the container
  std::string folder;  // "a/b", a key's form; empty: the whole bucket

  // In canonical form: without a '/' at its end.
  std::string Text() const;
};

// True for "gs://...", "s3://..." and "az://...".
bool IsCloudUrl(std::string_view url);

// Such as "s3:/bucket", with a slash too few, which would be a folder on this machine.
bool LooksLikeAnAddress(std::string_view path);

// kInvalidArgument, with the right form, unless IsCloudUrl(url) and it names a bucket and maybe a
// folder. User information ("s3://key@bucket") and '?' are refused: who writes them means to give
// credentials, which messages and records of the run must not hold. What else follows the bucket is
// taken as it is, without %-escapes.
Result<CloudUrl> ParseCloudUrl(std::string_view url);

}  // namespace thresher

#endif  // THRESHER_STORE_CLOUD_URL_H_
