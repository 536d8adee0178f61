#include "settings/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/nearest_name.h"

namespace thresher {
namespace {

constexpr std::string_view kVariablePrefix = "THRESHER_";
constexpr const char* kConfigVariable = "THRESHER_CONFIG";

std::string VariableName(const std::string& key) {
  std::string name(kVariablePrefix);
  for (const char character : key) {
    name += character == '-'
                ? '_'
                : static_cast<char>(std::toupper(static_cast<unsigned char>(character)));
  }
  return name;
}

// The value of an environment variable; empty if it is not set.
std::string VariableValue(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? value : "";
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Splits "Size of a shard [1GB]" into the two.
std::pair<std::string, std::string> SplitHelp(const std::string& help) {
  const size_t bracket = help.rfind(" [");
  if (bracket == help.npos || !help.ends_with(']')) return {help, ""};
  return {help.substr(0, bracket), help.substr(bracket + 2, help.size() - bracket - 3)};
}

std::string WrongValue(SettingType type, const std::vector<std::string>& values) {
  std::string expected = "a value that the flag takes";
  if (type == SettingType::kSwitch) expected = "true or false";
  if (type == SettingType::kNumber) expected = "a number";
  if (type == SettingType::kInteger) {
    const bool is_digits =
        !values.empty() &&
        values[0].find_first_not_of("0123456789", values[0].find('-') + 1) == std::string::npos;
    expected = is_digits && !values[0].empty() ? "a smaller integer" : "an integer";
  }
  std::string found;
  for (const std::string& value : values) found += (found.empty() ? "" : ",") + value;
  return "expected " + expected + ", found " + Quoted(found);
}

// The value that the option has, as a flag and TOML would both write it.
std::string EffectiveValue(const CLI::Option& option, SettingType type) {
  if (type == SettingType::kSwitch) return option.as<bool>() ? "true" : "false";
  auto text = option.as<std::string>();
  // A flag may also be 0x10.
  int64_t integer = 0;
  if (type == SettingType::kInteger && CLI::detail::lexical_cast(text, integer)) {
    return std::to_string(integer);
  }
  return text;
}

}  // namespace

std::string_view SettingSourceName(SettingSource source) {
  switch (source) {
    case SettingSource::kFlag:
      return "flag";
    case SettingSource::kEnvironment:
      return "environment";
    case SettingSource::kFile:
      return "file";
    case SettingSource::kDefault:
      return "default";
  }
  return "";
}

CLI::Option* Settings::Register(const std::string& name, CLI::Option* option, SettingType type,
                                const std::vector<std::string>& aliases) {
  SettingInfo info;
  info.key = name.substr(2);
  info.type = type;
  info.variables.push_back({VariableName(info.key)});
  for (const std::string& alias : aliases) info.variables.push_back({alias});
  if (type == SettingType::kSwitch) {
    info.default_value = "false";
  } else {
    // Captured for the table only: with it CLI11 would write the default into the help again.
    info.default_value = option->capture_default_str()->get_default_str();
    option->default_str("");
  }
  std::tie(info.meaning, info.default_text) = SplitHelp(option->get_description());
  if (info.default_text.empty() && type != SettingType::kSwitch && !info.default_value.empty()) {
    option->description(info.meaning + " [" + info.default_value + "]");
  }
  if (info.default_text.empty()) info.default_text = info.default_value;
  option->group(group_);
  settings_.push_back({option, std::move(info)});
  return option;
}

void Settings::AddVariable(const std::string& name, const SettingVariable& variable) {
  const auto setting = std::find_if(settings_.begin(), settings_.end(),
                                    [&](const Setting& s) { return "--" + s.info.key == name; });
  THRESHER_CHECK(setting != settings_.end());
  setting->info.variables.push_back(variable);
}

void Settings::AddConfigFlag(const Settings* others) {
  app_.add_option(
          "--config", config_path_,
          std::string("Job file: TOML with any of these settings [") + kConfigVariable + "]")
      ->group("Options");
  others_ = others;
}

const Settings::Setting* Settings::Find(std::string_view key) const {
  const auto setting = std::find_if(settings_.begin(), settings_.end(),
                                    [&](const Setting& s) { return s.info.key == key; });
  return setting == settings_.end() ? nullptr : &*setting;
}

std::vector<JobKey> Settings::JobKeys() const {
  std::vector<JobKey> keys;
  for (const SettingInfo& setting : List()) {
    keys.push_back({setting.key, setting.type, setting.is_list});
  }
  return keys;
}

std::vector<std::string> Settings::Sections() const {
  std::vector<std::string> sections;
  for (const SettingInfo& setting : List()) {
    std::string section = setting.group;
    std::transform(section.begin(), section.end(), section.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) {
      sections.push_back(section);
    }
  }
  return sections;
}

// The values of the job file by their keys; none without a job file.
Result<std::map<std::string, JobValue>> Settings::ReadFile() const {
  std::map<std::string, JobValue> by_key;
  const bool is_flag = !config_path_.empty();
  const std::string path = is_flag ? config_path_ : VariableValue(kConfigVariable);
  if (path.empty()) return by_key;
  const Settings& known = others_ == nullptr ? *this : *others_;
  Result<std::vector<JobValue>> values = ReadJobFile(path, known.JobKeys(), known.Sections());
  if (!values.ok()) {
    if (is_flag || values.status().code() != Code::kNotFound) return values.status();
    return values.status().WithContext(std::string("environment variable ") + kConfigVariable);
  }
  for (JobValue& value : *values) {
    std::string key = value.name;
    by_key.emplace(std::move(key), std::move(value));
  }
  return by_key;
}

Status Settings::Fill() {
  ASSIGN_OR_RETURN(const auto file, ReadFile());
  std::vector<std::pair<Setting*, const SettingVariable*>> products;
  for (Setting& setting : settings_) {
    if (setting.option->count() > 0) {
      setting.info.source = SettingSource::kFlag;
      continue;
    }
    const auto& variables = setting.info.variables;
    const auto variable =
        std::find_if(variables.begin(), variables.end(),
                     [](const SettingVariable& v) { return !VariableValue(v.name).empty(); });
    const auto value = file.find(setting.info.key);
    if (variable != variables.end() && !variable->times.empty()) {
      products.emplace_back(&setting, &*variable);
    } else if (variable != variables.end()) {
      RETURN_IF_ERROR(FillFromVariable(setting, *variable));
    } else if (value != file.end()) {
      RETURN_IF_ERROR(
          Give(setting, value->second.values, SettingSource::kFile, value->second.place));
    }
  }
  // When every setting that they may be multiplied with is known.
  for (const auto& [setting, variable] : products) {
    RETURN_IF_ERROR(FillFromVariable(*setting, *variable));
  }
  return OkStatus();
}

Status Settings::FillFromVariable(Setting& setting, const SettingVariable& variable) {
  std::string value = VariableValue(variable.name) + variable.unit;
  std::string place = variable.name;
  if (!variable.times.empty()) {
    const Setting* factor = Find(variable.times);
    THRESHER_CHECK(factor != nullptr);
    const int64_t given =
        factor->option->count() > 0
            ? ParseInteger(EffectiveValue(*factor->option, factor->info.type)).value_or(0)
            : 0;
    const int64_t times = given > 0 ? given : variable.times_if_not_given;
    const std::optional<int64_t> number = ParseInteger(value);
    int64_t product = 0;
    if (!number || *number < 1 || __builtin_mul_overflow(*number, times, &product)) {
      return InvalidArgument(
          fmt::format("environment variable {}: expected a small positive integer,"
                      " which is multiplied with {} ({}), found {}",
                      variable.name, variable.times, times, Quoted(value)));
    }
    place += fmt::format("={} x {} {}", *number, variable.times, times);
    value = std::to_string(product);
  }
  return Give(setting, {value}, SettingSource::kEnvironment, place);
}

// Gives an option that no flag gave the value of another source.
Status Settings::Give(Setting& setting, const std::vector<std::string>& values,
                      SettingSource source, const std::string& place) {
  setting.info.source = source;
  setting.info.place = place;
  bool is_taken = true;
  try {
    for (const std::string& value : values) {
      // CLI11 takes an integer that is too large for the largest there is.
      int64_t integer = 0;
      is_taken =
          is_taken && (setting.info.type != SettingType::kInteger ||
                       std::from_chars(value.data(), value.data() + value.size(), integer).ec !=
                           std::errc::result_out_of_range);
      setting.option->add_result(value);
    }
    setting.option->run_callback();
  } catch (const CLI::Error&) {
    is_taken = false;
  }
  if (!is_taken) {
    return InvalidArgument(fmt::format(
        "{}{}: {}: {}", source == SettingSource::kEnvironment ? "environment variable " : "", place,
        setting.info.key, WrongValue(setting.info.type, values)));
  }
  return OkStatus();
}

std::vector<SettingInfo> Settings::List() const {
  std::vector<SettingInfo> list;
  for (const Setting& setting : settings_) {
    SettingInfo info = setting.info;
    info.group = setting.option->get_group();
    info.is_list = setting.option->get_multi_option_policy() == CLI::MultiOptionPolicy::Join;
    info.value = setting.option->count() > 0 ? EffectiveValue(*setting.option, info.type)
                                             : info.default_value;
    list.push_back(std::move(info));
  }
  return list;
}

Status Settings::WithSource(const Status& status) const {
  const std::string& message = status.message();
  if (!message.starts_with("--")) return status;
  const Setting* setting = Find(message.substr(2, message.find_first_of(": ,") - 2));
  if (setting == nullptr || setting->info.place.empty()) return status;
  return Status(status.code(), fmt::format("{} (from {}{})", message,
                                           setting->info.source == SettingSource::kEnvironment
                                               ? "environment variable "
                                               : "",
                                           setting->info.place));
}

std::vector<std::string> Settings::UnknownVariables() const {
  // Without the prefix, which would make every name look alike.
  std::vector<std::string> known = {std::string(kConfigVariable + kVariablePrefix.size()),
                                    "PLUGINS", "CACHE"};  // folders, read elsewhere
  for (const Setting& setting : settings_) {
    known.push_back(setting.info.variables[0].name.substr(kVariablePrefix.size()));
  }
  std::vector<std::string> messages;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view name = *entry;
    name = name.substr(0, name.find('='));
    if (!name.starts_with(kVariablePrefix)) continue;
    const std::string_view rest = name.substr(kVariablePrefix.size());
    if (std::find(known.begin(), known.end(), rest) != known.end()) continue;
    const std::string nearest = NearestName(rest, known);
    messages.push_back(fmt::format(
        "environment variable {} is no setting and is ignored{}", Quoted(name),
        nearest.empty() ? "" : fmt::format("; did you mean '{}{}'?", kVariablePrefix, nearest)));
  }
  return messages;
}

}  // namespace thresher
