#include "cli/settings_in_force.h"

#include <fmt/format.h>

#include <string>

#include "base/scrub.h"

namespace thresher {
namespace {

// True if a printed value would show what may be a secret. A '?' in a path may be a pattern.
bool ShowsSecret(const std::string& value) {
  if (value.find("://") == std::string::npos || !MayHoldSecret(value)) return false;
  const size_t query = value.find('?');
  return value.find('@') != std::string::npos ||
         (query != std::string::npos && value.find('=', query) != std::string::npos);
}

}  // namespace

Result<std::vector<SettingInfo>> SettingsInForce(std::vector<SettingInfo> settings,
                                                 const ExtractOptions& options) {
  for (SettingInfo& setting : settings) {
    if (setting.key == "output" && setting.value != options.settings.output) {
      setting.value = options.settings.output;
      setting.source = SettingSource::kEnvironment;
      setting.place = "UPLOAD_TO_GCS, GCS_BUCKET";
    }
    if (!ShowsSecret(setting.value)) continue;
    return InvalidArgument(
        fmt::format("--{}: expected an address without user information and query, found '{}'; "
                    "credentials are found where the cloud's own tools find them",
                    setting.key, ScrubAddress(setting.value)));
  }
  return settings;
}

}  // namespace thresher
