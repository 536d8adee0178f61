#include "store/store.h"

#include <fmt/format.h>

#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "store/local_store.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

constexpr int64_t kMaxTextBytes = int64_t{1} << 30;
// Large, because a local folder is read as a whole for every page.
constexpr int64_t kListAllPageObjects = 100'000;
// How often an object is read again that is replaced while it is read.
constexpr int kGetTextTries = 10;

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

Result<std::unique_ptr<Store>> OpenStore(std::string_view url) {
  if (url == "memory:") return std::unique_ptr<Store>(std::make_unique<MemoryStore>());
  constexpr std::string_view kFile = "file://";
  if (url.starts_with(kFile)) {
    const std::string_view path = url.substr(kFile.size());
    if (!path.starts_with('/')) {
      return InvalidArgument(fmt::format(
          "\"{}\": write file:///folder, with three slashes and an absolute path", url));
    }
    return OpenLocal(url, path);
  }
  const size_t scheme_end = url.find("://");
  if (scheme_end != std::string_view::npos && url.substr(0, scheme_end).find('/') == url.npos) {
    return InvalidArgument(fmt::format(
        "\"{}\": this build has no driver for {}:// yet; it has file:///folder, a plain "
        "path, and memory:",
        url, url.substr(0, scheme_end)));
  }
  return OpenLocal(url, url);
}

Result<std::string> GetText(Store& store, std::string_view key) {
  Status status;
  for (int tried = 0; tried < kGetTextTries; ++tried) {
    ASSIGN_OR_RETURN(const ObjectInfo before, store.Stat(key));
    if (before.bytes > kMaxTextBytes) {
      return DataLoss(
          fmt::format("\"{}\" has {} bytes, which is too long for a text", key, before.bytes));
    }
    std::string text(static_cast<size_t>(before.bytes), '\0');
    status = store.GetRange(key, 0, std::as_writable_bytes(std::span(text.data(), text.size())));
    if (!status.ok() && status.code() != Code::kDataLoss) return status;
    // An object that was replaced in between by one of another length would give a part of it.
    ASSIGN_OR_RETURN(const ObjectInfo after, store.Stat(key));
    if (after.bytes == before.bytes && after.modified_ms == before.modified_ms) {
      if (!status.ok()) return status;
      return text;
    }
  }
  return Unavailable(
      fmt::format("\"{}\" was replaced {} times while it was read", key, kGetTextTries));
}

Result<std::vector<ObjectInfo>> ListAll(Store& store, std::string_view prefix) {
  std::vector<ObjectInfo> objects;
  while (true) {
    const std::string start_after = objects.empty() ? "" : objects.back().key;
    ASSIGN_OR_RETURN(ListPage page, store.List(prefix, start_after, kListAllPageObjects));
    objects.insert(objects.end(), std::make_move_iterator(page.objects.begin()),
                   std::make_move_iterator(page.objects.end()));
    if (!page.more) return objects;
  }
}

}  // namespace thresher
