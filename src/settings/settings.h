#ifndef THRESHER_SETTINGS_SETTINGS_H_
#define THRESHER_SETTINGS_SETTINGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "settings/job_file.h"

namespace thresher {

// One environment variable of a setting.
struct SettingVariable {
  std::string name;
  // The variable is a number of these: SHARD_SIZE_GB=2 is "2GB". Empty: the value as it is.
  std::string unit = {};
  // The variable is an integer, and the setting is its product with that other setting (without
  // dashes in front), or with `times_if_not_given` where that is 0 or not given:
  // BATCH_SIZE=8 with max-tokens = 512 is 4096. Empty: no product.
  std::string times = {};
  int64_t times_if_not_given = 0;
};

// Where a value came from. Earlier ones win.
enum class SettingSource { kFlag, kEnvironment, kFile, kDefault };

// "flag", "environment", "file", "default".
std::string_view SettingSourceName(SettingSource source);

// One setting: what it is, and the value that it has.
struct SettingInfo {
  std::string key;      // "shard-bytes"; the flag is --shard-bytes
  std::string group;    // "Capture"
  std::string meaning;  // its help, without the default
  SettingType type = SettingType::kText;
  bool is_list = false;
  std::string default_value;  // empty: none
  std::string default_text;   // the default for people: "all cores" where the value is 0
  std::vector<SettingVariable> variables;  // in order of precedence

  std::string value;  // as a flag takes it; the default if nothing gave another
  SettingSource source = SettingSource::kDefault;
  std::string place;  // "SHARD_SIZE_GB" or "job.toml:12"; empty for flags and defaults
};

// The settings of a command. Each can be given as a flag, as an environment variable (--lease-ttl
// is THRESHER_LEASE_TTL) and as a key of a job file (lease-ttl or lease_ttl); the flag wins over
// the environment, the environment over the file. Everything that is known of a setting is written
// once, where it is added.
class Settings {
 public:
  explicit Settings(CLI::App& app) : app_(app) {}
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  // Settings that are added from here on belong to this group. A group is a heading of the help and
  // of the table of settings, and in small letters a section of the job file.
  void BeginGroup(const std::string& name) { group_ = name; }

  // Registers "--name". `target` must outlive this object and holds the default, which is appended
  // to the help as " [default]" unless the help ends in "[...]", which then explains the default.
  // `aliases`: further environment variables, in order of precedence. A setting that is a list with
  // commas is text with ->join(',') on what this returns.
  template <typename T>
  CLI::Option* Add(const std::string& name, T& target, const std::string& help,
                   const std::vector<std::string>& aliases = {}) {
    return Register(name, app_.add_option(name, target, help), TypeOf<T>(), aliases);
  }
  CLI::Option* AddFlag(const std::string& name, bool& target, const std::string& help) {
    return Register(name, app_.add_flag(name, target, help), SettingType::kSwitch, {});
  }

  // One more environment variable of "--name", read after those that it has.
  void AddVariable(const std::string& name, const SettingVariable& variable);

  // Registers --config, the job file; without the flag it is the one that THRESHER_CONFIG names.
  // `others`: settings of other commands, whose keys in the file are checked like one's own and
  // then passed over; it must outlive this object. Without them such keys are unknown.
  void AddConfigFlag(const Settings* others = nullptr);

  // Call once, after the command line was parsed: fills what no flag gave from the environment,
  // then from the job file. kInvalidArgument or kNotFound; messages name the variable, or the file,
  // line and key.
  Status Fill();

  // Every setting in the order in which it was added; before Fill, with default values.
  std::vector<SettingInfo> List() const;

  // A message about a setting ("--dtype: expected ...") with the place that its value came from,
  // if that is not a flag: "... (from job.toml:12)". Anything else as it is.
  Status WithSource(const Status& status) const;

  // One sentence for each environment variable THRESHER_* that is no setting's.
  std::vector<std::string> UnknownVariables() const;

 private:
  struct Setting {
    CLI::Option* option;
    SettingInfo info;
  };

  template <typename T>
  struct IsOptional : std::false_type {};
  template <typename T>
  struct IsOptional<std::optional<T>> : std::true_type {
    using Value = T;
  };
  template <typename T>
  static constexpr SettingType TypeOf() {
    if constexpr (IsOptional<T>::value) {
      return TypeOf<typename IsOptional<T>::Value>();
    } else if constexpr (std::is_integral_v<T>) {
      return SettingType::kInteger;
    } else if constexpr (std::is_floating_point_v<T>) {
      return SettingType::kNumber;
    } else {
      static_assert(std::is_same_v<T, std::string>, "a list is text with ->join(',')");
      return SettingType::kText;
    }
  }

  CLI::Option* Register(const std::string& name, CLI::Option* option, SettingType type,
                        const std::vector<std::string>& aliases);
  const Setting* Find(std::string_view key) const;
  std::vector<JobKey> JobKeys() const;
  std::vector<std::string> Sections() const;
  Result<std::map<std::string, JobValue>> ReadFile() const;
  Status FillFromVariable(Setting& setting, const SettingVariable& variable);
  static Status Give(Setting& setting, const std::vector<std::string>& values, SettingSource source,
                     const std::string& place);

  CLI::App& app_;
  std::string group_ = "Options";
  std::vector<Setting> settings_;
  std::string config_path_;
  const Settings* others_ = nullptr;
};

}  // namespace thresher

#endif  // THRESHER_SETTINGS_SETTINGS_H_
