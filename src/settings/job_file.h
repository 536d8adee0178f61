#ifndef THRESHER_SETTINGS_JOB_FILE_H_
#define THRESHER_SETTINGS_JOB_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// What a setting takes.
enum class SettingType {
  kText,     // also sizes and durations: "1GB", "3m"
  kInteger,  // 64 bits
  kNumber,   // an integer or a fraction
  kSwitch,   // true or false
};

// "text", "integer", "number", "switch".
std::string_view SettingTypeName(SettingType type);

// A key that a job file may have.
struct JobKey {
  std::string name;  // as the flag without dashes in front: "shard-bytes"
  SettingType type = SettingType::kText;
  bool is_list = false;  // a TOML array is taken too
};

// One key with its value.
struct JobValue {
  std::string name;                 // of the JobKey
  std::vector<std::string> values;  // as a flag takes them; several: the items of an array
  std::string place;                // "job.toml:12"
};

// A larger file is refused.
inline constexpr size_t kMaxJobFileBytes = size_t{1} << 20;

// Reads a job file: TOML 1.0 with a flat table of keys. A key may be written with '_' for '-', and
// may stand in one of the `sections`, which group and mean nothing else. `path` is for messages.
//
// kInvalidArgument, with "path:line:column: ": TOML that is not valid; a key or a section that is
// not known, with the nearest one; a key that occurs twice; a value of another type than its key
// takes. Pure; any thread.
Result<std::vector<JobValue>> ParseJobFile(std::string_view text, const std::string& path,
                                           const std::vector<JobKey>& keys,
                                           const std::vector<std::string>& sections);

// The same from the file itself. kNotFound if it cannot be opened.
Result<std::vector<JobValue>> ReadJobFile(const std::string& path, const std::vector<JobKey>& keys,
                                          const std::vector<std::string>& sections);

// `text` as a TOML basic string with its quotes. kInvalidArgument if it is not valid UTF-8, which
// TOML has no way to write.
Result<std::string> TomlString(std::string_view text);

}  // namespace thresher

#endif  // THRESHER_SETTINGS_JOB_FILE_H_
