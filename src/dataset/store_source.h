#ifndef THRESHER_DATASET_STORE_SOURCE_H_
#define THRESHER_DATASET_STORE_SOURCE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "dataset/byte_source.h"
#include "store/store.h"

namespace thresher {

// An object in a store, read by ranges.
class StoreSource : public ByteSource {
 public:
  // `bytes`: the object's size, as the store's list says.
  StoreSource(std::shared_ptr<Store> store, std::string key, std::string name, int64_t bytes)
      : store_(std::move(store)), key_(std::move(key)), name_(std::move(name)), bytes_(bytes) {}

  const std::string& name() const override { return name_; }
  int64_t bytes() const override { return bytes_; }
  Status Read(int64_t offset, std::span<std::byte> to) const override;

 private:
  const std::shared_ptr<Store> store_;
  const std::string key_;
  const std::string name_;
  const int64_t bytes_;
};

// Remembers what was read last, for readers that ask for the same ranges again and again, as a
// Parquet file's do for every few rows of a group.
class CachingSource : public ByteSource {
 public:
  // Keeps at most `cache_bytes`.
  CachingSource(std::shared_ptr<const ByteSource> inner, int64_t cache_bytes)
      : inner_(std::move(inner)), cache_bytes_(cache_bytes) {}

  const std::string& name() const override { return inner_->name(); }
  int64_t bytes() const override { return inner_->bytes(); }
  Status Read(int64_t offset, std::span<std::byte> to) const override;

 private:
  struct Part {
    int64_t offset;
    std::vector<std::byte> bytes;
  };

  bool FindCached(int64_t offset, std::span<std::byte> to) const;

  const std::shared_ptr<const ByteSource> inner_;
  const int64_t cache_bytes_;
  mutable std::mutex mutex_;
  mutable std::list<Part> parts_;   // the last used one first; guarded by mutex_
  mutable int64_t held_bytes_ = 0;  // guarded by mutex_
};

}  // namespace thresher

#endif  // THRESHER_DATASET_STORE_SOURCE_H_
