#ifndef THRESHER_EXTRACT_CLOUD_METADATA_H_
#define THRESHER_EXTRACT_CLOUD_METADATA_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/http_request.h"
#include "base/result.h"

namespace thresher {

// Whose machine this is, as far as its metadata server is concerned.
enum class Cloud { kNone, kGce, kAws, kAzure };

// From what the firmware says of the machine; no request is sent. `firmware_folder` holds Linux's
// files sys_vendor, product_name, product_version and chassis_asset_tag.
Cloud DetectCloud(const std::string& firmware_folder = "/sys/class/dmi/id");

// Where the metadata server is: "http://169.254.169.254". The variables GCE_METADATA_HOST,
// AWS_EC2_METADATA_SERVICE_ENDPOINT and AZURE_POD_IDENTITY_AUTHORITY_HOST say otherwise, as they do
// for the clouds' own programs. `cloud` is not kNone.
std::string MetadataUrl(Cloud cloud);

// Sends a request and waits for the answer: SendHttpRequest, or a test's stand-in.
using HttpClient = std::function<Result<HttpResponse>(const HttpRequest&)>;

// The worker's number in a TPU slice of several machines (attribute agent-worker-number). Nothing
// where the machine has none.
Result<std::optional<int64_t>> TpuWorkerNumber(const HttpClient& send);

// What GCE's metadata server says at computeMetadata/v1/`path`, without white space around it.
// kNotFound where there is no such entry.
Result<std::string> GceMetadata(const HttpClient& send, const std::string& path);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_CLOUD_METADATA_H_
