#include "store/store.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/scrub.h"
#include "store/cloud_store.h"
#include "store/cloud_url.h"
#include "store/for_each_object.h"
#include "store/local_store.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

// Large, because a local folder is read as a whole for every page.
constexpr int64_t kListAllPageObjects = 100'000;

constexpr std::string_view kFileScheme = "file://";

Status CheckKeyPart(std::string_view part) {
  if (part.empty()) return InvalidArgument("an empty part");
  if (part == "." || part == "..") return InvalidArgument("a part \".\" or \"..\"");
  if (part.starts_with(kReservedKeyPrefix)) {
    return InvalidArgument(fmt::format("a part that begins with \"{}\"", kReservedKeyPrefix));
  }
  return OkStatus();
}

Result<std::unique_ptr<Store>> OpenLocal(std::string_view url, std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    return InvalidArgument(fmt::format("\"{}\" names no folder", url));
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return Unavailable(fmt::format("absolute path of \"{}\": {}", url, error.message()));
  std::string root = absolute.lexically_normal().string();
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  const std::filesystem::file_status status = std::filesystem::status(root, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) {
    return InvalidArgument(fmt::format("\"{}\" is a file, not a folder", url));
  }
  return std::unique_ptr<Store>(std::make_unique<LocalStore>(std::move(root)));
}

}  // namespace

Status CheckKey(std::string_view key) {
  if (key.find('\0') != std::string_view::npos) {
    return InvalidArgument("the key of an object holds a NUL character");
  }
  std::string_view rest = key;
  while (true) {
    const size_t slash = rest.find('/');
    if (Status status = CheckKeyPart(rest.substr(0, slash)); !status.ok()) {
      return InvalidArgument(fmt::format("the key \"{}\" has {}", key, status.message()));
    }
    if (slash == std::string_view::npos) return OkStatus();
    rest.remove_prefix(slash + 1);
  }
}

Status CheckStoreUrl(std::string_view url) {
  if (url == "memory:") return OkStatus();
  if (IsCloudUrl(url)) return ParseCloudUrl(url).status();
  if (url.starts_with(kFileScheme)) {
    const std::string_view path = url.substr(kFileScheme.size());
    if (!path.starts_with('/')) {
      return InvalidArgument(fmt::format(
          "\"{}\": write file:///folder, with three slashes and an absolute path", url));
    }
    if (path.find('%') != path.npos) {
      return InvalidArgument(fmt::format(
          "\"{}\": write the folder's name as it is, without %-escapes; or give a plain path",
          url));
    }
    return OkStatus();
  }
  const size_t scheme_end = url.find("://");
  if (scheme_end != std::string_view::npos && url.substr(0, scheme_end).find('/') == url.npos) {
    return InvalidArgument(fmt::format(
        "\"{}\": there is no store {}://; write gs://BUCKET/FOLDER, s3://BUCKET/FOLDER, "
        "az://CONTAINER/FOLDER, file:///FOLDER, a plain path, or memory:",
        ScrubAddress(url), url.substr(0, scheme_end)));
  }
  if (LooksLikeAnAddress(url)) {
    return InvalidArgument(fmt::format(
        "\"{}\": write two slashes after the colon for a store, or ./{} for a local folder",
        ScrubAddress(url), ScrubAddress(url)));
  }
  return OkStatus();
}

Result<std::unique_ptr<Store>> OpenStore(std::string_view url, const StoreOptions& options) {
  RETURN_IF_ERROR(CheckStoreUrl(url));
  if (url == "memory:") return std::unique_ptr<Store>(std::make_unique<MemoryStore>());
  if (IsCloudUrl(url)) {
    ASSIGN_OR_RETURN(const CloudUrl cloud_url, ParseCloudUrl(url));
    return CloudStore::Open(cloud_url, options, ProcessEnvironment);
  }
  return OpenLocal(url, url.starts_with(kFileScheme) ? url.substr(kFileScheme.size()) : url);
}

Status ForEachObject(Store& store, std::string_view prefix,
                     const std::function<void(ObjectInfo& object)>& visit) {
  std::string start_after;
  while (true) {
    ASSIGN_OR_RETURN(ListPage page, store.List(prefix, start_after, kListAllPageObjects));
    if (!page.objects.empty() && page.objects.front().key <= start_after) {
      return FailedPrecondition(
          fmt::format("{}: asked for the objects after \"{}\", the server lists from \"{}\": it "
                      "ignores where a "
                      "list should start, and no run can work on it",
                      store.url(), start_after, page.objects.front().key));
    }
    if (page.more && !page.objects.empty()) start_after = page.objects.back().key;
    for (ObjectInfo& object : page.objects) visit(object);
    if (!page.more) return OkStatus();
  }
}

Result<std::vector<ObjectInfo>> ListAll(Store& store, std::string_view prefix) {
  std::vector<ObjectInfo> objects;
  RETURN_IF_ERROR(ForEachObject(store, prefix,
                                [&](ObjectInfo& object) { objects.push_back(std::move(object)); }));
  return objects;
}

}  // namespace thresher
