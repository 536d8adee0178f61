#include "store/subfolder_store.h"

#include "base/check.h"

namespace thresher {

SubfolderStore::SubfolderStore(Store& inner, std::string_view folder)
    : inner_(inner), folder_(std::string(folder) + "/") {
  THRESHER_CHECK(CheckKey(folder).ok());
}

std::string SubfolderStore::url() const {
  const std::string url = inner_.url();
  return url + (url.ends_with('/') ? "" : "/") + folder_.substr(0, folder_.size() - 1);
}

Status SubfolderStore::Put(std::string_view key, std::span<const std::byte> bytes) {
  return inner_.Put(KeyOf(key), bytes);
}

CreateResult SubfolderStore::CreateIfAbsent(std::string_view key,
                                            std::span<const std::byte> bytes) {
  return inner_.CreateIfAbsent(KeyOf(key), bytes);
}

Result<std::string> SubfolderStore::GetText(std::string_view key) {
  return inner_.GetText(KeyOf(key));
}

Status SubfolderStore::GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) {
  return inner_.GetRange(KeyOf(key), offset, out);
}

Result<ObjectInfo> SubfolderStore::Stat(std::string_view key) {
  ASSIGN_OR_RETURN(ObjectInfo info, inner_.Stat(KeyOf(key)));
  Shorten(info);
  return info;
}

Result<ListPage> SubfolderStore::List(std::string_view prefix, std::string_view start_after,
                                      int64_t limit) {
  ASSIGN_OR_RETURN(
      ListPage page,
      inner_.List(KeyOf(prefix), start_after.empty() ? "" : KeyOf(start_after), limit));
  for (ObjectInfo& object : page.objects) Shorten(object);
  return page;
}

Status SubfolderStore::Delete(std::string_view key) { return inner_.Delete(KeyOf(key)); }

}  // namespace thresher
