#ifndef THRESHER_PLUGINS_PLUGIN_CATALOG_H_
#define THRESHER_PLUGINS_PLUGIN_CATALOG_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// One file of the Python package index, pinned.
struct Wheel {
  std::string package;  // "libtpu"
  std::string version;
  std::string file;    // "libtpu-0.0.42.1-cp311-cp311-manylinux_2_31_x86_64.whl"
  std::string sha256;  // of the file, in lower-case hexadecimal digits
};

// A PJRT plug-in: a shared library that compiles StableHLO programs and runs them on a kind of
// device.
struct PluginSpec {
  std::string name;           // "tpu", as in --engine tpu
  std::string description;    // for people
  std::string library;        // where the wheels have the shared library: "libtpu/libtpu.so"
  std::vector<Wheel> wheels;  // the first one is the plug-in's own; then what it loads
  std::string needs;          // what the machine must have to run it (not to compile), for people

  const std::string& version() const { return wheels.front().version; }
};

// The plug-ins that this program knows, each with the one version that it was tried with.
const std::vector<PluginSpec>& PluginCatalog();

// kInvalidArgument, with the names that there are, if there is none of this name.
Result<PluginSpec> FindPluginSpec(std::string_view name);

// What `pip install -r` reads: one pinned requirement a line, with its hash.
std::string PipRequirements(const PluginSpec& spec);

// The options with which pip finds exactly the wheels of the plug-in, whatever Python runs it: the
// Python, ABI and platform tags of the wheels' file names (PEP 425).
std::vector<std::string> PipTagOptions(const PluginSpec& spec);

}  // namespace thresher

#endif  // THRESHER_PLUGINS_PLUGIN_CATALOG_H_
