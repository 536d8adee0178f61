#ifndef THRESHER_ENGINE_PJRT_PJRT_PLUGIN_H_
#define THRESHER_ENGINE_PJRT_PJRT_PLUGIN_H_

#include <map>
#include <string>

#include "base/result.h"
#include "engine/pjrt/pjrt_status.h"

namespace thresher {

// The oldest minor version of the API (of major version 0) that is used here.
inline constexpr int kOldestPjrtMinor = 81;

// A plug-in: a shared library with the PJRT C API (OpenXLA's pjrt_c_api.h). Once loaded it stays
// for the life of the process, since plug-ins leave threads behind that must not lose their code.
// Immutable; thread-safe.
class PjrtPlugin {
 public:
  // Loads and initialises the library at `path`, once for each path. kFailedPrecondition, with what
  // to do, if it cannot be loaded, is no PJRT plug-in, or speaks a version that this program does
  // not.
  static Result<const PjrtPlugin*> Load(const std::string& path);

  const PJRT_Api& api() const { return *api_; }
  const std::string& path() const { return path_; }

  // "0.115".
  std::string api_version() const;

  // What the plug-in says of itself: "xla_version", "stablehlo_current_version" ("1.13.0"), ...
  const std::map<std::string, std::string>& attributes() const { return attributes_; }

 private:
  PjrtPlugin(std::string path, const PJRT_Api& api);

  std::string path_;
  const PJRT_Api* api_;
  std::map<std::string, std::string> attributes_;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PJRT_PLUGIN_H_
