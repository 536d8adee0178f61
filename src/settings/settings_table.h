#ifndef THRESHER_SETTINGS_SETTINGS_TABLE_H_
#define THRESHER_SETTINGS_SETTINGS_TABLE_H_

#include <string>
#include <vector>

#include "base/result.h"
#include "settings/settings.h"

namespace thresher {

// What can be printed of a list of settings. Pure; groups stand in the order in which they first
// occur.

// The values as a job file that gives the same values again. Behind each value where it came from;
// a setting without a value is a comment. kInvalidArgument, naming the flag, for a value that TOML
// cannot hold.
Result<std::string> SettingsToml(const std::vector<SettingInfo>& settings);

// One JSON object: key -> {group, value, source, place}. `value` is null if there is none, `place`
// is the variable, or file and line, and null for flags and defaults. Ends with a newline.
std::string SettingsJson(const std::vector<SettingInfo>& settings);

// For each setting its flag, type, environment variables, default and meaning, for a terminal.
std::string SettingsText(const std::vector<SettingInfo>& settings);

// The same as Markdown tables, one for each group under a heading of the second level.
std::string SettingsMarkdown(const std::vector<SettingInfo>& settings);

}  // namespace thresher

#endif  // THRESHER_SETTINGS_SETTINGS_TABLE_H_
