#include "cli/store_settings.h"

#include <fmt/format.h>

#include "base/byte_size.h"
#include "base/scrub.h"
#include "cli/extract_options.h"

namespace thresher {
namespace {

// What S3 and GCS take for any but the last part of an upload.
constexpr int64_t kSmallestPartBytes = int64_t{5} << 20;
constexpr int64_t kLargestPartBytes = int64_t{5} << 30;
constexpr int64_t kMostParallelParts = 1000;

// Zero as "0", "0s", "0B" and so on; everything else as `parse` reads it.
Result<int64_t> ParseOrZero(const char* flag, const std::string& text,
                            Result<int64_t> (*parse)(std::string_view)) {
  const bool is_zero = !text.empty() && text.find_first_not_of("0.") > 0 &&
                       text.find_first_of("123456789") == std::string::npos;
  if (is_zero) return int64_t{0};
  Result<int64_t> parsed = parse(text);
  if (!parsed.ok()) return parsed.status().WithContext(flag);
  return parsed;
}

Status CheckEndpoint(const std::string& endpoint) {
  if (endpoint.empty()) return OkStatus();
  const bool has_scheme = endpoint.starts_with("http://") || endpoint.starts_with("https://");
  if (has_scheme && !MayHoldSecret(endpoint)) return OkStatus();
  return InvalidArgument(
      fmt::format("--store-endpoint: expected http://host:port or https://host, without user "
                  "information and query, found '{}'",
                  ScrubAddress(endpoint)));
}

}  // namespace

void RegisterStoreSettings(Settings& settings, StoreSettings& target) {
  settings
      .Add("--store-endpoint", target.endpoint,
           "Server instead of the cloud's own, such as http://127.0.0.1:9000")
      ->group("Store");
  settings
      .AddFlag("--store-anonymous", target.anonymous,
               "Send no credentials: public buckets, test servers")
      ->group("Store");
  settings
      .Add("--part-bytes", target.part_bytes,
           "Larger objects are uploaded in parts of this size; 0: always in one request")
      ->group("Store");
  settings
      .Add("--upload-parallelism", target.upload_parallelism,
           "Parts of one object on their way at the same time")
      ->group("Store");
  settings.Add("--store-timeout", target.timeout, "Of one request, or of one part on its way")
      ->group("Store");
  settings
      .Add("--retry-budget", target.retry_budget,
           "How long a call is tried again after temporary errors; 0: never")
      ->group("Store");
  settings
      .Add("--upload-rate", target.upload_rate,
           "Most bytes a second of all uploads together, such as 200MB; 0: no limit. Small ones do "
           "not wait")
      ->group("Store");
}

Result<StoreOptions> CheckStoreSettings(const StoreSettings& settings) {
  StoreOptions options;
  RETURN_IF_ERROR(CheckEndpoint(settings.endpoint));
  options.endpoint = settings.endpoint;
  options.anonymous = settings.anonymous;
  ASSIGN_OR_RETURN(options.part_bytes,
                   ParseOrZero("--part-bytes", settings.part_bytes, ParseByteSize));
  if (options.part_bytes != 0 &&
      (options.part_bytes < kSmallestPartBytes || options.part_bytes > kLargestPartBytes)) {
    return InvalidArgument(
        fmt::format("--part-bytes: expected 0, or from 5MiB to 5GiB as clouds ask, found {}",
                    settings.part_bytes));
  }
  if (settings.upload_parallelism < 1 || settings.upload_parallelism > kMostParallelParts) {
    return InvalidArgument(
        fmt::format("--upload-parallelism: expected a number from 1 to {}, found {}",
                    kMostParallelParts, settings.upload_parallelism));
  }
  options.parallel_parts = settings.upload_parallelism;
  const Result<int64_t> timeout_ms = ParseDurationMs(settings.timeout);
  if (!timeout_ms.ok()) return timeout_ms.status().WithContext("--store-timeout");
  options.request_timeout_ms = *timeout_ms;
  ASSIGN_OR_RETURN(options.retry_budget_ms,
                   ParseOrZero("--retry-budget", settings.retry_budget, ParseDurationMs));
  ASSIGN_OR_RETURN(options.upload_bytes_per_second,
                   ParseOrZero("--upload-rate", settings.upload_rate, ParseByteSize));
  return options;
}

// Every key that a job file may have.
struct StoreFlags::JobFileSettings {
  JobFileSettings() : sources(app) { RegisterExtractSettings(sources, settings); }

  CLI::App app;
  ExtractSettings settings;
  Settings sources;
};

StoreFlags::StoreFlags(CLI::App& command)
    : sources_(command), job_file_settings_(std::make_shared<JobFileSettings>()) {
  RegisterStoreSettings(sources_, settings_);
  sources_.AddConfigFlag(&job_file_settings_->sources);
}

Result<StoreOptions> StoreFlags::Options() {
  RETURN_IF_ERROR(sources_.Fill());
  Result<StoreOptions> options = CheckStoreSettings(settings_);
  if (!options.ok()) return sources_.WithSource(options.status());
  return options;
}

}  // namespace thresher
