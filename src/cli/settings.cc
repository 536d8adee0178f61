#include "cli/settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

std::string VariableName(const std::string& key) {
  std::string name = "THRESHER_";
  for (const char character : key) {
    name += character == '-'
                ? '_'
                : static_cast<char>(std::toupper(static_cast<unsigned char>(character)));
  }
  return name;
}

// Gives an option that no flag gave the value of another source.
Status Give(CLI::Option* option, const std::vector<std::string>& values,
            const std::string& source) {
  try {
    for (const std::string& value : values) option->add_result(value);
    option->run_callback();
  } catch (const CLI::Error& error) {
    return InvalidArgument(source + ": " + error.what());
  }
  return OkStatus();
}

}  // namespace

CLI::Option* Settings::Register(const std::string& name, CLI::Option* option,
                                const std::vector<std::string>& aliases) {
  const std::string key = name.substr(2);
  std::vector<Variable> variables = {{VariableName(key), ""}};
  for (const std::string& alias : aliases) variables.push_back({alias, ""});
  settings_.push_back({key, option, std::move(variables)});
  return option;
}

void Settings::AddVariable(const std::string& name, const Variable& variable) {
  const auto setting = std::find_if(settings_.begin(), settings_.end(),
                                    [&](const Setting& s) { return "--" + s.key == name; });
  THRESHER_CHECK(setting != settings_.end());
  setting->variables.push_back(variable);
}

Status Settings::FillFrom(const std::string& config_path) {
  RETURN_IF_ERROR(FillFromEnvironment());
  return config_path.empty() ? OkStatus() : FillFromFile(config_path);
}

Status Settings::FillFromEnvironment() {
  for (const Setting& setting : settings_) {
    if (setting.option->count() > 0) continue;
    for (const Variable& variable : setting.variables) {
      const char* value = std::getenv(variable.name.c_str());
      if (!value || !*value) continue;
      RETURN_IF_ERROR(
          Give(setting.option, {value + variable.unit}, "environment variable " + variable.name));
      break;
    }
  }
  return OkStatus();
}

Status Settings::FillFromFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return NotFound(path + ": cannot be opened; --config takes a TOML file");
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_config(file);
  } catch (const CLI::Error& error) {
    return InvalidArgument(path + ": " + error.what());
  }
  for (const CLI::ConfigItem& item : items) {
    if (item.name == "++" || item.name == "--") continue;  // begin and end of a section
    std::string key = item.fullname();
    std::replace(key.begin(), key.end(), '_', '-');
    const auto setting = std::find_if(settings_.begin(), settings_.end(),
                                      [&](const Setting& s) { return s.key == key; });
    if (setting == settings_.end()) {
      return InvalidArgument(path + ": there is no setting '" + item.fullname() +
                             "'; the keys are the names of the flags");
    }
    if (setting->option->count() > 0) continue;
    RETURN_IF_ERROR(Give(setting->option, item.inputs, path + ": " + item.fullname()));
  }
  return OkStatus();
}

}  // namespace thresher
