#include "store/cloud_settings.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <string_view>

#include "base/scrub.h"

namespace thresher {
namespace {

using nlohmann::json;

constexpr const char* kTrue = "true";

std::string FirstOf(const EnvironmentLookup& environment,
                    std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string value = environment(name); !value.empty()) return value;
  }
  return "";
}

std::string WithScheme(const std::string& endpoint) {
  return endpoint.find("://") == std::string::npos ? "http://" + endpoint : endpoint;
}

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The value of `name` in `section` of a file of "[section]" and "name = value" lines.
std::string IniValue(const std::string& path, std::string_view section, std::string_view name) {
  std::ifstream file(path);
  bool here = false;
  for (std::string text; std::getline(file, text);) {
    const std::string_view line = Trimmed(text);
    const size_t equals = line.find('=');
    if (line.starts_with('[')) {
      here = line == fmt::format("[{}]", section);
    } else if (here && equals != line.npos && Trimmed(line.substr(0, equals)) == name) {
      return std::string(Trimmed(line.substr(equals + 1)));
    }
  }
  return "";
}

std::string RegionOfProfile(const EnvironmentLookup& environment) {
  std::string path = environment("AWS_CONFIG_FILE");
  if (path.empty()) path = environment("HOME") + "/.aws/config";
  const std::string profile = environment("AWS_PROFILE");
  if (profile.empty() || profile == "default") return IniValue(path, "default", "region");
  return IniValue(path, "profile " + profile, "region");
}

// "eu-west-1" of "https://s3.eu-west-1.amazonaws.com"; empty for other endpoints.
std::string RegionOfEndpoint(std::string_view endpoint) {
  constexpr std::string_view kStart = "https://s3.";
  const size_t end = endpoint.find(".amazonaws.com");
  if (!endpoint.starts_with(kStart) || end == endpoint.npos || end < kStart.size()) return "";
  return std::string(endpoint.substr(kStart.size(), end - kStart.size()));
}

json GcsSettings(const StoreOptions& options, const EnvironmentLookup& environment) {
  json settings = json::object();
  const std::string emulator = environment("STORAGE_EMULATOR_HOST");
  const std::string endpoint = options.endpoint.empty() ? emulator : options.endpoint;
  if (!endpoint.empty()) settings["endpoint"] = WithScheme(endpoint);
  if (options.anonymous || (options.endpoint.empty() && !emulator.empty())) {
    settings["skip_signature"] = kTrue;
    settings["disable_config_load"] = kTrue;
    settings["disable_vm_metadata"] = kTrue;
  }
  return settings;
}

json S3Settings(const StoreOptions& options, const EnvironmentLookup& environment) {
  // The server compares the CRC-32C of every body with what arrives.
  json settings = {{"checksum_algorithm", "crc32c"}};
  std::string endpoint = options.endpoint;
  if (endpoint.empty()) {
    endpoint = FirstOf(environment, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  }
  std::string region = RegionOfEndpoint(endpoint);
  if (region.empty()) region = FirstOf(environment, {"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (region.empty()) region = RegionOfProfile(environment);
  if (region.empty() && !endpoint.empty()) region = "us-east-1";
  if (!region.empty()) settings["region"] = region;
  if (endpoint.empty()) {
    endpoint = region.starts_with("cn-") ? fmt::format("https://s3.{}.amazonaws.com.cn", region)
                                         : "https://s3.amazonaws.com";
  }
  settings["endpoint"] = WithScheme(endpoint);
  if (options.anonymous) {
    settings["skip_signature"] = kTrue;
    settings["disable_config_load"] = kTrue;
    settings["disable_ec2_metadata"] = kTrue;
  }
  return settings;
}

std::string AccountOf(std::string_view connection) {
  constexpr std::string_view kName = "AccountName=";
  const size_t at = connection.find(kName);
  if (at == connection.npos) return "";
  connection.remove_prefix(at + kName.size());
  return std::string(connection.substr(0, connection.find(';')));
}

// Emulators have the account in the path: "http://127.0.0.1:10000/account".
std::string WithAccountPath(const std::string& endpoint, const std::string& account) {
  const size_t host = endpoint.find("://") + 3;
  const bool has_path = endpoint.find('/', host) < endpoint.size() - 1;
  if (has_path || account.empty() || endpoint.compare(host, account.size() + 1, account + ".") == 0)
    return endpoint;
  return endpoint + (endpoint.ends_with('/') ? "" : "/") + account;
}

Status AddAzureSettings(const StoreOptions& options, const EnvironmentLookup& environment,
                        json& request) {
  const std::string connection = environment("AZURE_STORAGE_CONNECTION_STRING");
  std::string account =
      FirstOf(environment, {"AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"});
  if (account.empty()) account = AccountOf(connection);
  std::string endpoint = options.endpoint;
  if (endpoint.empty()) endpoint = environment("AZURE_STORAGE_BLOB_ENDPOINT");
  json& settings = request["settings"];
  if (!endpoint.empty()) settings["endpoint"] = WithAccountPath(WithScheme(endpoint), account);
  if (!connection.empty() && !options.anonymous) {
    request["connection_string"] = connection;
    return OkStatus();
  }
  if (endpoint.empty()) {
    if (account.empty()) {
      return InvalidArgument(
          "which storage account? Set AZURE_STORAGE_ACCOUNT to its name, or "
          "AZURE_STORAGE_CONNECTION_STRING, or give an endpoint");
    }
    settings["endpoint"] = fmt::format("https://{}.blob.core.windows.net", account);
  }
  if (options.anonymous) {
    settings["skip_signature"] = kTrue;
    return OkStatus();
  }
  if (!account.empty()) settings["account_name"] = account;
  const std::string key = FirstOf(environment, {"AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"});
  if (!key.empty()) settings["account_key"] = key;
  const std::string token = environment("AZURE_STORAGE_SAS_TOKEN");
  if (!token.empty()) settings["sas_token"] = token;
  return OkStatus();
}

}  // namespace

std::string ProcessEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

Result<json> CloudSettings(const CloudUrl& url, const StoreOptions& options,
                           const EnvironmentLookup& environment) {
  json request = {{"part_bytes", options.part_bytes},
                  {"parallel_parts", options.parallel_parts},
                  {"request_timeout_ms", options.request_timeout_ms},
                  {"retry_budget_ms", options.retry_budget_ms},
                  {"upload_bytes_per_second", options.upload_bytes_per_second}};
  switch (url.cloud) {
    case Cloud::kGcs:
      request["service"] = "gcs";
      request["settings"] = GcsSettings(options, environment);
      request["settings"]["bucket"] = url.bucket;
      break;
    case Cloud::kS3:
      request["service"] = "s3";
      request["settings"] = S3Settings(options, environment);
      request["settings"]["bucket"] = url.bucket;
      break;
    case Cloud::kAzure:
      request["service"] = "azblob";
      request["settings"] = {{"container", url.bucket}};
      RETURN_IF_ERROR(AddAzureSettings(options, environment, request).WithContext(url.Text()));
      break;
  }
  // Also for those from the environment. Messages may name it, so it holds no secrets.
  const json& settings = request["settings"];
  const std::string endpoint = settings.value("endpoint", "");
  if (MayHoldSecret(endpoint)) {
    return InvalidArgument(
        fmt::format("{}: the endpoint {}: expected no user information and no query; credentials "
                    "have variables of their own",
                    url.Text(), ScrubAddress(endpoint)));
  }
  return request;
}

}  // namespace thresher
