#ifndef THRESHER_STORE_CLOUD_SETTINGS_H_
#define THRESHER_STORE_CLOUD_SETTINGS_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "store/cloud_url.h"
#include "store/store.h"

namespace thresher {

// The value of an environment variable; empty if it is not set.
using EnvironmentLookup = std::function<std::string(const std::string& name)>;
std::string ProcessEnvironment(const std::string& name);

// What thresher_object_store_open takes, for the bucket of `url`. What `options` leave open comes
// from the variables that each cloud's own tools read:
//   gs://  STORAGE_EMULATOR_HOST (which also means: no credentials)
//   s3://  AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL; AWS_REGION, AWS_DEFAULT_REGION, else the region
//          of the profile AWS_PROFILE in AWS_CONFIG_FILE (default ~/.aws/config), else for another
//          endpoint than AWS's "us-east-1"; else AWS is asked when the store is opened
//   az://  AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_BLOB_ENDPOINT, AZURE_STORAGE_ACCOUNT or
//          AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_KEY or AZURE_STORAGE_ACCOUNT_KEY,
//          AZURE_STORAGE_SAS_TOKEN
// Credentials that are not among these are found later, by the chain of each cloud: application
// default credentials and the metadata server; AWS's environment, profile, web identity, container
// and instance roles; Azure's environment, workload identity and managed identity. With
// options.anonymous none are looked for. kInvalidArgument where something needed is missing.
Result<nlohmann::json> CloudSettings(const CloudUrl& url, const StoreOptions& options,
                                     const EnvironmentLookup& environment);

}  // namespace thresher

#endif  // THRESHER_STORE_CLOUD_SETTINGS_H_
