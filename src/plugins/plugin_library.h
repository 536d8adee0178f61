#ifndef THRESHER_PLUGINS_PLUGIN_LIBRARY_H_
#define THRESHER_PLUGINS_PLUGIN_LIBRARY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plugins/plugin_catalog.h"

namespace thresher {

// Installed plug-ins are folders of one cache folder:
//
//   FOLDER/NAME-VERSION/plugin.json    what it was made from, and every file with size and SHA-256
//                      /...            the wheels' files, as Python would have them
//   FOLDER/NAME.lock                   held while that plug-in is installed
//   FOLDER/NAME.partial-PID            an installation that has not ended
//
// A folder NAME-VERSION appears whole or not at all. Reading needs no Python and no lock.

// THRESHER_PLUGINS, else $XDG_CACHE_HOME/thresher/plugins, else ~/.cache/thresher/plugins.
std::string DefaultPluginFolder();

struct PluginFile {
  std::string path = {};  // relative to the plug-in's folder
  int64_t bytes = 0;
  std::string sha256 = {};
};

// What plugin.json holds.
struct PluginRecord {
  std::string name = {};
  std::string version = {};
  std::string library = {};
  std::vector<std::string> wheels = {};  // SHA-256 of each, in the order of the catalogue
  std::vector<PluginFile> files = {};    // sorted by path

  int64_t total_bytes() const;
};

// Where a plug-in of this version is kept, whether it is there or not.
std::string PluginPath(const std::string& folder, const PluginSpec& spec);

std::string PluginRecordJson(const PluginRecord& record);

// kNotFound if it is not installed; kDataLoss if what is there is not what was installed (files
// that are missing or of another size; with `checks_bytes` also of other bytes) or was made from
// other wheels. The messages say to install it.
Result<PluginRecord> ReadPlugin(const std::string& folder, const PluginSpec& spec,
                                bool checks_bytes = false);

// The path of the shared library of a plug-in of the catalogue, found in `folder`.
// kInvalidArgument if there is no plug-in of this name; else as ReadPlugin.
Result<std::string> FindPlugin(std::string_view name,
                               const std::string& folder = DefaultPluginFolder());

// SHA-256 of a file's bytes in hexadecimal digits.
Result<std::string> FileSha256(const std::string& path);

}  // namespace thresher

#endif  // THRESHER_PLUGINS_PLUGIN_LIBRARY_H_
