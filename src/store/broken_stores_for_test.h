#ifndef THRESHER_STORE_BROKEN_STORES_FOR_TEST_H_
#define THRESHER_STORE_BROKEN_STORES_FOR_TEST_H_

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store/forwarding_store.h"

namespace thresher {

// Stores that break the contract in one way each, as real ones have.

// Gives other threads the time to come in between.
inline void LetOthersRun() {
  for (int i = 0; i < 100; ++i) std::this_thread::yield();
}

// The condition is ignored.
class OverwritingCreateStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override {
    return {CreateOutcome::kWritten, inner_.Put(key, bytes)};
  }
};

// Two steps where one is needed.
class CheckThenPutStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override {
    if (inner_.Stat(key).ok()) return {CreateOutcome::kConflict, OkStatus()};
    LetOthersRun();
    return {CreateOutcome::kWritten, inner_.Put(key, bytes)};
  }
};

// A name that was used once is never free again.
class TombstoneStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override {
    std::lock_guard lock(mutex_);
    if (!used_.insert(std::string(key)).second) return {CreateOutcome::kConflict, OkStatus()};
    return inner_.CreateIfAbsent(key, bytes);
  }

 private:
  std::mutex mutex_;
  std::set<std::string> used_;
};

class UnsortedListStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Result<ListPage> page = inner_.List(prefix, start_after, limit);
    if (page.ok()) std::reverse(page->objects.begin(), page->objects.end());
    return page;
  }
};

// Sorts by folder, as a file system is walked: "a/b" before "a!".
class FolderFirstListStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Result<ListPage> page = inner_.List(prefix, start_after, limit);
    if (!page.ok()) return page;
    const auto walked = [](std::string key) {
      std::replace(key.begin(), key.end(), '/', '\1');
      return key;
    };
    std::sort(
        page->objects.begin(), page->objects.end(),
        [&](const ObjectInfo& a, const ObjectInfo& b) { return walked(a.key) < walked(b.key); });
    return page;
  }
};

// Says that a full page is the last one.
class LastPageLostStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Result<ListPage> page = inner_.List(prefix, start_after, limit);
    if (page.ok()) page->more = false;
    return page;
  }
};

class IgnoresStartAfterStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<ListPage> List(std::string_view prefix, std::string_view, int64_t limit) override {
    return inner_.List(prefix, "", limit);
  }
};

// Listings still show what was deleted.
class StaleListStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Delete(std::string_view key) override {
    Result<ObjectInfo> info = inner_.Stat(key);
    if (info.ok()) {
      std::lock_guard lock(mutex_);
      deleted_[std::string(key)] = *std::move(info);
    }
    return inner_.Delete(key);
  }
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Result<ListPage> page = inner_.List(prefix, start_after, limit);
    if (!page.ok()) return page;
    std::lock_guard lock(mutex_);
    for (const auto& [key, info] : deleted_) {
      if (key.starts_with(prefix) && key > start_after) page->objects.push_back(info);
    }
    std::sort(page->objects.begin(), page->objects.end(),
              [](const ObjectInfo& a, const ObjectInfo& b) { return a.key < b.key; });
    return page;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, ObjectInfo> deleted_;
};

// A listing does not show the newest object.
class LateListStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    std::lock_guard lock(mutex_);
    newest_ = key;
    return inner_.Put(key, bytes);
  }
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Result<ListPage> page = inner_.List(prefix, start_after, limit);
    std::lock_guard lock(mutex_);
    if (page.ok()) std::erase_if(page->objects, [&](const auto& o) { return o.key == newest_; });
    return page;
  }

 private:
  std::mutex mutex_;
  std::string newest_;
};

// Takes a prefix for a folder.
class FolderPrefixStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    std::string folder(prefix);
    if (!folder.empty() && !folder.ends_with('/')) folder += '/';
    return inner_.List(folder, start_after, limit);
  }
};

// Writes in place: readers may see a half.
class TornWriteStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    if (const Status half = inner_.Put(key, bytes.first(bytes.size() / 2)); !half.ok()) return half;
    LetOthersRun();
    return inner_.Put(key, bytes);
  }
};

// Reads come from a cache that a put does not touch.
class StaleReadStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<std::string> GetText(std::string_view key) override {
    std::lock_guard lock(mutex_);
    const auto cached = cache_.find(std::string(key));
    if (cached != cache_.end()) return cached->second;
    Result<std::string> text = inner_.GetText(key);
    if (text.ok()) cache_[std::string(key)] = *text;
    return text;
  }
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    const bool first = !inner_.Stat(key).ok();
    const Status status = inner_.Put(key, bytes);
    if (first) (void)GetText(key);
    return status;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> cache_;
};

// Two puts at the same time leave a mixture.
class MixedPutStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    const Result<std::string> before = inner_.GetText(key);
    LetOthersRun();
    const Result<std::string> after = inner_.GetText(key);
    const bool raced = after.ok() && (!before.ok() || *before != *after);
    if (!raced) return inner_.Put(key, bytes);
    std::string mixed = *after;
    mixed.append(reinterpret_cast<const char*>(bytes.data()), bytes.size() / 2);
    return inner_.Put(key, AsBytes(mixed));
  }
};

// A range past the end is filled up as far as it goes, and called a success.
class ShortRangeStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override {
    const Status status = inner_.GetRange(key, offset, out);
    return status.code() == Code::kDataLoss ? OkStatus() : status;
  }
};

// Rewrites names; Name() decides how.
class RenamingStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    return inner_.Put(Name(key), bytes);
  }
  Result<std::string> GetText(std::string_view key) override { return inner_.GetText(Name(key)); }
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override {
    return inner_.GetRange(Name(key), offset, out);
  }
  Result<ObjectInfo> Stat(std::string_view key) override { return inner_.Stat(Name(key)); }
  Status Delete(std::string_view key) override { return inner_.Delete(Name(key)); }

 protected:
  virtual std::string Name(std::string_view key) const = 0;
};

// Takes "%20" for a space.
class DecodingStore : public RenamingStore {
 public:
  using RenamingStore::RenamingStore;

 protected:
  std::string Name(std::string_view key) const override {
    std::string name(key);
    for (size_t at; (at = name.find("%20")) != std::string::npos;) name.replace(at, 3, " ");
    return name;
  }
};

// Drops a dot at the end, as some clouds do.
class TrimmingStore : public RenamingStore {
 public:
  using RenamingStore::RenamingStore;

 protected:
  std::string Name(std::string_view key) const override {
    std::string name(key);
    if (name.size() > 3 && name.ends_with('.')) name.pop_back();
    return name;
  }
};

// Cuts long names.
class ShortNameStore : public RenamingStore {
 public:
  using RenamingStore::RenamingStore;

 protected:
  std::string Name(std::string_view key) const override { return std::string(key.substr(0, 512)); }
};

class EmptyIsAbsentStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    return bytes.empty() ? inner_.Delete(key) : inner_.Put(key, bytes);
  }
  Result<std::string> GetText(std::string_view key) override {
    Result<std::string> text = inner_.GetText(key);
    if (text.status().code() == Code::kNotFound) return std::string();
    return text;
  }
  Result<ObjectInfo> Stat(std::string_view key) override {
    Result<ObjectInfo> info = inner_.Stat(key);
    if (info.status().code() != Code::kNotFound) return info;
    return ObjectInfo{.key = std::string(key), .bytes = 0, .modified_ms = 0, .checksum = ""};
  }
};

// Every second part of a large object is the first one again.
class LostPartStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    constexpr size_t kPart = 1 << 20;
    if (bytes.size() < 2 * kPart) return inner_.Put(key, bytes);
    std::vector<std::byte> wrong(bytes.begin(), bytes.end());
    std::copy_n(bytes.begin(), kPart, wrong.begin() + kPart);
    return inner_.Put(key, wrong);
  }
};

class StrictDeleteStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Delete(std::string_view key) override {
    if (!inner_.Stat(key).ok()) return FailedPrecondition("no such object");
    return inner_.Delete(key);
  }
};

class FolderIsObjectStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<ObjectInfo> Stat(std::string_view key) override {
    const Result<ListPage> below = inner_.List(std::string(key) + "/", "", 1);
    if (below.ok() && !below->objects.empty()) {
      return ObjectInfo{.key = std::string(key), .bytes = 0, .modified_ms = 0, .checksum = ""};
    }
    return inner_.Stat(key);
  }
};

// Listings tell another time than Stat.
class WrongTimeStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Result<ListPage> page = inner_.List(prefix, start_after, limit);
    if (!page.ok()) return page;
    for (ObjectInfo& object : page->objects) object.modified_ms += 3'600'000;
    return page;
  }
};

// Takes any name that it can make something of.
class AnyKeyStore : public RenamingStore {
 public:
  using RenamingStore::RenamingStore;

 protected:
  std::string Name(std::string_view key) const override {
    return CheckKey(key).ok() ? std::string(key) : "a";
  }
};

}  // namespace thresher

#endif  // THRESHER_STORE_BROKEN_STORES_FOR_TEST_H_
