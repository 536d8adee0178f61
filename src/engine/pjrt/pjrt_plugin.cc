#include "engine/pjrt/pjrt_plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

#include "engine/pjrt/named_values.h"

namespace thresher {
namespace {

constexpr const char kHint[] =
    "; thresher plugins list shows the plug-ins of this machine, thresher plugins install gets one";

// Why an API table cannot be used; ok if it can.
Status CheckApi(const std::string& path, const PJRT_Api* api) {
  if (api == nullptr) return FailedPrecondition(path + ": GetPjrtApi gave nothing");
  // The version itself must be inside the table before it can be read.
  constexpr size_t kVersionEnd = offsetof(PJRT_Api, pjrt_api_version) + sizeof(PJRT_Api_Version);
  if (api->struct_size < kVersionEnd) {
    return FailedPrecondition(
        fmt::format("{}: its function table ends after {} bytes, before its "
                    "own version; this is no plug-in that can be used",
                    path, api->struct_size));
  }
  const PJRT_Api_Version& version = api->pjrt_api_version;
  if (version.major_version != PJRT_API_MAJOR || version.minor_version < kOldestPjrtMinor) {
    return FailedPrecondition(fmt::format(
        "{} speaks version {}.{} of the PJRT API; this program needs {}.{} or a later {}.x: "
        "install {} version of the plug-in",
        path, version.major_version, version.minor_version, PJRT_API_MAJOR, kOldestPjrtMinor,
        PJRT_API_MAJOR, version.major_version > PJRT_API_MAJOR ? "an older" : "a newer"));
  }
  // A table shorter than its version says is broken; these are called without a further look.
  if (!TableReaches(*api, offsetof(PJRT_Api, PJRT_Plugin_Attributes)) ||
      api->PJRT_Error_Destroy == nullptr || api->PJRT_Error_Message == nullptr ||
      api->PJRT_Error_GetCode == nullptr) {
    return FailedPrecondition(
        fmt::format("{}: its function table ({} bytes) lacks the first functions of version {}.{}",
                    path, api->struct_size, version.major_version, version.minor_version));
  }
  return OkStatus();
}

Result<const PJRT_Api*> OpenLibrary(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return FailedPrecondition(fmt::format("cannot load the plug-in: {}{}", dlerror(), kHint));
  }
  using GetApi = const PJRT_Api* (*)();
  const auto get_api = reinterpret_cast<GetApi>(dlsym(library, "GetPjrtApi"));
  if (get_api == nullptr) {
    return FailedPrecondition(path + " is a library, but no PJRT plug-in: it has no GetPjrtApi" +
                              kHint);
  }
  const PJRT_Api* api = get_api();
  RETURN_IF_ERROR(CheckApi(path, api));
  PJRT_ARGS(PJRT_Plugin_Initialize, initialize);
  RETURN_IF_ERROR(PJRT_CALL(*api, PJRT_Plugin_Initialize, initialize).WithContext(path));
  return api;
}

}  // namespace

PjrtPlugin::PjrtPlugin(std::string path, const PJRT_Api& api) : path_(std::move(path)), api_(&api) {
  PJRT_ARGS(PJRT_Plugin_Attributes, args);
  // A plug-in without attributes is as good.
  if (!PJRT_CALL(api, PJRT_Plugin_Attributes, args).ok()) return;
  attributes_ = FormatNamedValues({args.attributes, args.num_attributes});
}

Result<const PjrtPlugin*> PjrtPlugin::Load(const std::string& path) {
  static std::mutex mutex;
  static auto& loaded = *new std::map<std::string, std::unique_ptr<PjrtPlugin>>();
  const std::lock_guard lock(mutex);
  const auto found = loaded.find(path);
  if (found != loaded.end()) return found->second.get();
  ASSIGN_OR_RETURN(const PJRT_Api* api, OpenLibrary(path));
  const auto [entry, _] =
      loaded.emplace(path, std::unique_ptr<PjrtPlugin>(new PjrtPlugin(path, *api)));
  return entry->second.get();
}

std::string PjrtPlugin::api_version() const {
  return fmt::format("{}.{}", api_->pjrt_api_version.major_version,
                     api_->pjrt_api_version.minor_version);
}

}  // namespace thresher
