#ifndef THRESHER_STORE_FORWARDING_STORE_H_
#define THRESHER_STORE_FORWARDING_STORE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "store/store.h"

namespace thresher {

// Passes every call on: the base of stores that change some of them. As thread-safe as `inner`.
class ForwardingStore : public Store {
 public:
  // `inner` is borrowed.
  explicit ForwardingStore(Store& inner) : inner_(inner) {}

  std::string url() const override { return inner_.url(); }
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    return inner_.Put(key, bytes);
  }
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override {
    return inner_.CreateIfAbsent(key, bytes);
  }
  Result<std::string> GetText(std::string_view key) override { return inner_.GetText(key); }
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override {
    return inner_.GetRange(key, offset, out);
  }
  Result<ObjectInfo> Stat(std::string_view key) override { return inner_.Stat(key); }
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    return inner_.List(prefix, start_after, limit);
  }
  Status Delete(std::string_view key) override { return inner_.Delete(key); }

 protected:
  Store& inner_;
};

}  // namespace thresher

#endif  // THRESHER_STORE_FORWARDING_STORE_H_
