#ifndef THRESHER_CLI_STORE_SETTINGS_H_
#define THRESHER_CLI_STORE_SETTINGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "settings/settings.h"
#include "store/store.h"

namespace thresher {

// How a command reaches the stores that it opens, as the user writes it. The same flags and
// environment variables on every command that takes the address of a run.
struct StoreSettings {
  std::string endpoint;
  bool anonymous = false;
  std::string part_bytes = "32MiB";
  int64_t upload_parallelism = 8;
  std::string timeout = "60s";
  std::string retry_budget = "2m";
  std::string upload_rate = "0";
};

// Registers every setting. `target` must outlive the returned object.
void RegisterStoreSettings(Settings& settings, StoreSettings& target);

// The same, checked and in the store's own terms. Messages name the flag and what it takes.
Result<StoreOptions> CheckStoreSettings(const StoreSettings& settings);

// The settings of a command that has no others from the environment, and --config: of a job file of
// `thresher extract` it uses the keys that are its own.
class StoreFlags {
 public:
  explicit StoreFlags(CLI::App& command);
  StoreFlags(const StoreFlags&) = delete;
  StoreFlags& operator=(const StoreFlags&) = delete;

  // Call once, after the command line was parsed. kInvalidArgument or kNotFound, naming where the
  // value came from: wrong usage.
  Result<StoreOptions> Options();

 private:
  struct JobFileSettings;

  StoreSettings settings_;
  Settings sources_;
  std::shared_ptr<const JobFileSettings> job_file_settings_;
};

// What a command's help says about addresses.
inline constexpr const char* kStoreAddresses =
    "Addresses: a path, file:///folder, gs://bucket/folder, s3://bucket/folder or\n"
    "az://container/folder, with each cloud's usual credentials; servers that speak S3:\n"
    "--store-endpoint http://host:port.";

}  // namespace thresher

#endif  // THRESHER_CLI_STORE_SETTINGS_H_
