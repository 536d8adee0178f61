#ifndef THRESHER_STORE_SUBFOLDER_STORE_H_
#define THRESHER_STORE_SUBFOLDER_STORE_H_

#include <string>
#include <string_view>

#include "store/store.h"

namespace thresher {

// A folder of another store as a store of its own.
class SubfolderStore : public Store {
 public:
  // `inner` is borrowed; `folder` is a key's form: "a/b".
  SubfolderStore(Store& inner, std::string_view folder);

  std::string url() const override;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override;
  Result<std::string> GetText(std::string_view key) override;
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override;
  Result<ObjectInfo> Stat(std::string_view key) override;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override;
  Status Delete(std::string_view key) override;

 private:
  std::string KeyOf(std::string_view key) const { return folder_ + std::string(key); }
  void Shorten(ObjectInfo& object) const { object.key.erase(0, folder_.size()); }

  Store& inner_;
  const std::string folder_;  // with '/' at its end
};

}  // namespace thresher

#endif  // THRESHER_STORE_SUBFOLDER_STORE_H_
