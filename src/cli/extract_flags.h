#ifndef THRESHER_CLI_EXTRACT_FLAGS_H_
#define THRESHER_CLI_EXTRACT_FLAGS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <vector>

#include "base/result.h"
#include "cli/extract_options.h"
#include "settings/settings.h"

namespace thresher {

// The settings of `thresher extract` on a command that shares them, and --config. Must live until
// the command line was parsed and Options was called.
class ExtractFlags {
 public:
  explicit ExtractFlags(CLI::App& command);

  // Call once, after the command line was parsed: fills the settings from the environment and the
  // job file, warns on the standard error stream of THRESHER_* variables that are no setting, and
  // checks. kInvalidArgument or kNotFound, naming where the value came from: wrong usage.
  Result<ExtractOptions> Options(const NeededSettings& needed);

  // Reports why the command could not be carried out; its exit status. A setting that turned out
  // not to fit the model or the data (a message that begins with its flag) is wrong usage, too.
  int Report(const Status& status) const;

  // Every setting with its value; before Options, with its default.
  std::vector<SettingInfo> List() const { return sources_.List(); }

 private:
  ExtractSettings settings_;
  Settings sources_;
};

// All that a command needs that works with the settings of `thresher extract`:
//
//   CLI::App* command = app.add_subcommand("plan", "...");
//   command->add_flag(...);  // its own flags, if their names are free
//   OnExtractSettings(*command, exit_status, {.output = false}, Plan);
//
// Adds the settings and --config to `command`. When the command was chosen, `body` runs with the
// checked settings, and its result is the exit status. Settings that cannot be used are reported
// with kExitUsage, an error of `body` as ExtractFlags::Report does.
void OnExtractSettings(CLI::App& command, int& exit_status, const NeededSettings& needed,
                       std::function<Result<int>(const ExtractOptions&)> body);

}  // namespace thresher

#endif  // THRESHER_CLI_EXTRACT_FLAGS_H_
