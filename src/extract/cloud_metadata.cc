#include "extract/cloud_metadata.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "base/check.h"

namespace thresher {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string VariableOr(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  std::string text = value && *value ? value : otherwise;
  while (text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace

Cloud DetectCloud(const std::string& firmware_folder) {
  const std::string vendor = FirstLine(firmware_folder + "/sys_vendor");
  const std::string product = FirstLine(firmware_folder + "/product_name");
  if (product.starts_with("Google")) return Cloud::kGce;
  if (vendor.starts_with("Amazon EC2")) return Cloud::kAws;
  // Machines on EC2's older hypervisor say "Xen" and "4.11.amazon".
  if (FirstLine(firmware_folder + "/product_version").find("amazon") != std::string::npos) {
    return Cloud::kAws;
  }
  // The asset tag tells Azure's machines from those of other people's Hyper-V.
  if (FirstLine(firmware_folder + "/chassis_asset_tag") == "7783-7084-3265-9085-8269-3286-77") {
    return Cloud::kAzure;
  }
  return Cloud::kNone;
}

std::string MetadataUrl(Cloud cloud) {
  switch (cloud) {
    case Cloud::kGce:
      return "http://" + VariableOr("GCE_METADATA_HOST", "metadata.google.internal");
    case Cloud::kAws:
      return VariableOr("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254");
    case Cloud::kAzure:
      return VariableOr("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254");
    case Cloud::kNone:
      break;
  }
  THRESHER_CHECK(cloud != Cloud::kNone);
  return {};
}

Result<std::string> GceMetadata(const HttpClient& send, const std::string& path) {
  HttpRequest request;
  request.url = MetadataUrl(Cloud::kGce) + "/computeMetadata/v1/" + path;
  request.headers = {{"Metadata-Flavor", "Google"}};
  ASSIGN_OR_RETURN(const HttpResponse response, send(request));
  if (response.status == 200) return std::string(Trim(response.body));
  const std::string message = request.url + " answers " + std::to_string(response.status);
  return response.status == 404 ? NotFound(message) : Unavailable(message);
}

Result<std::optional<int64_t>> TpuWorkerNumber(const HttpClient& send) {
  const Result<std::string> text = GceMetadata(send, "instance/attributes/agent-worker-number");
  if (text.status().code() == Code::kNotFound) return std::optional<int64_t>();
  RETURN_IF_ERROR(text.status());
  int64_t number = 0;
  const char* end = text->data() + text->size();
  const auto [parsed_to, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc() || parsed_to != end || number < 0) {
    return DataLoss("agent-worker-number: expected a number, found '" + *text + "'");
  }
  return std::optional(number);
}

}  // namespace thresher
