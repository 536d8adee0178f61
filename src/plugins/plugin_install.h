#ifndef THRESHER_PLUGINS_PLUGIN_INSTALL_H_
#define THRESHER_PLUGINS_PLUGIN_INSTALL_H_

#include <functional>
#include <string>

#include "base/result.h"
#include "plugins/plugin_library.h"

namespace thresher {

struct PluginInstallOptions {
  std::string folder = DefaultPluginFolder();
  std::string python = "python3";  // whose pip fetches the wheels; looked for in PATH
  bool is_quiet = false;           // pip prints errors only
  std::function<void(const std::string&)> on_event = [](const std::string&) {};
};

// Makes the plug-in as the catalogue has it, in place of what was there before; what is whole and
// unchanged already is left alone. pip fetches the wheels, from wherever its own configuration says
// (PIP_INDEX_URL, PIP_FIND_LINKS, proxies, ...), refuses any other bytes than those pinned, and
// unpacks them into FOLDER/NAME.partial-PID; the folder gets its name once every file is on the
// disk. One process installs a plug-in at a time; others wait and find it done. pip's output goes
// to the standard error stream.
//
// kFailedPrecondition: there is no such Python, it has no pip, or this is another machine than the
// wheels are for. kUnavailable: pip failed; what it printed says why, the message what to do.
Result<PluginRecord> InstallPlugin(const PluginSpec& spec, const PluginInstallOptions& options);

}  // namespace thresher

#endif  // THRESHER_PLUGINS_PLUGIN_INSTALL_H_
