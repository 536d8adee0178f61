#include "engine/pjrt/find_plugin.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace thresher {
namespace {

// Where plug-ins are installed: THRESHER_PLUGINS, else below the user's data folder.
std::filesystem::path PluginsFolder() {
  if (const char* folder = std::getenv("THRESHER_PLUGINS"); folder != nullptr) return folder;
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr) {
    return std::filesystem::path(data) / "thresher" / "plugins";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "." : home) / ".local/share/thresher/plugins";
}

}  // namespace

Result<std::string> FindPlugin(std::string_view name) {
  const std::filesystem::path folder = PluginsFolder() / name;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".so") return entry.path().string();
  }
  return NotFound(fmt::format("no plug-in {} in {}: say thresher plugins install {}", name,
                              folder.string(), name));
}

}  // namespace thresher
