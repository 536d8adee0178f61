#ifndef THRESHER_ENGINE_PJRT_FIND_PLUGIN_H_
#define THRESHER_ENGINE_PJRT_FIND_PLUGIN_H_

#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

// The path of the library of the plug-in "tpu", "cuda" or "xla-cpu". kNotFound, with what to do, if
// it is not on this machine.
Result<std::string> FindPlugin(std::string_view name);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_FIND_PLUGIN_H_
