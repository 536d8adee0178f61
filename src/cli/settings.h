#ifndef THRESHER_CLI_SETTINGS_H_
#define THRESHER_CLI_SETTINGS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace thresher {

// The settings of a command. Each can be given as a flag, as an environment variable
// (--lease-ttl is THRESHER_LEASE_TTL) and as a key of a TOML file (lease-ttl or lease_ttl); the
// flag wins over the environment, the environment over the file.
class Settings {
 public:
  explicit Settings(CLI::App& app) : app_(app) {}

  // Registers "--name". `aliases`: further environment variables, in order of precedence.
  template <typename T>
  CLI::Option* Add(const std::string& name, T& target, const std::string& help,
                   const std::vector<std::string>& aliases = {}) {
    return Register(name, app_.add_option(name, target, help), aliases);
  }
  CLI::Option* AddFlag(const std::string& name, bool& target, const std::string& help) {
    return Register(name, app_.add_flag(name, target, help), {});
  }

  // One more environment variable of a setting, read after those that it has. Its value is a
  // number of `unit`s: SHARD_SIZE_GB=2 is "2GB".
  struct Variable {
    std::string name;
    std::string unit;  // empty: the value as it is
  };
  void AddVariable(const std::string& name, const Variable& variable);

  // Call after the command line was parsed: fills what no flag gave from the environment, then from
  // the TOML file unless `config_path` is empty. Errors name the variable, or file and key.
  Status FillFrom(const std::string& config_path);

 private:
  struct Setting {
    std::string key;  // without the dashes in front
    CLI::Option* option;
    std::vector<Variable> variables;
  };

  CLI::Option* Register(const std::string& name, CLI::Option* option,
                        const std::vector<std::string>& aliases);
  Status FillFromEnvironment();
  Status FillFromFile(const std::string& path);

  CLI::App& app_;
  std::vector<Setting> settings_;
};

}  // namespace thresher

#endif  // THRESHER_CLI_SETTINGS_H_
