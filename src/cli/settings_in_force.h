#ifndef THRESHER_CLI_SETTINGS_IN_FORCE_H_
#define THRESHER_CLI_SETTINGS_IN_FORCE_H_

#include <vector>

#include "base/result.h"
#include "cli/extract_options.h"
#include "settings/settings.h"

namespace thresher {

// The settings with the values that `thresher extract` uses, for printing and for handing on:
// `output` is where `options` say. kInvalidArgument, naming the flag, if a value may hold a secret:
// an address with user information or a query.
Result<std::vector<SettingInfo>> SettingsInForce(std::vector<SettingInfo> settings,
                                                 const ExtractOptions& options);

}  // namespace thresher

#endif  // THRESHER_CLI_SETTINGS_IN_FORCE_H_
