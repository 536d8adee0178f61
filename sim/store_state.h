#ifndef THRESHER_SIM_STORE_STATE_H_
#define THRESHER_SIM_STORE_STATE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sim/fault_profile.h"
#include "sim/scheduler.h"
#include "store/store.h"

namespace thresher::sim {

// Of shards only size and checksum are kept, of other objects the text.
struct StoredObject {
  std::string text;
  int64_t bytes = 0;
  uint32_t crc = 0;  // of shards
  int64_t modified_ms = 0;
  int64_t created_us = 0;  // the simulator's own time, of this and the two below
  int64_t modified_us = 0;
  int64_t deleted_us = -1;         // a tombstone, for lists that lag
  int64_t modified_before_ms = 0;  // of the version that was overwritten
};

bool IsShardObject(std::string_view key);

// Told of every change at the moment that it takes effect.
class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  // `old` is what was there, or null.
  virtual void OnWrite(std::string_view key, const StoredObject* old,
                       const StoredObject& written) = 0;
  virtual void OnDelete(std::string_view key, const StoredObject& old) = 0;
};

// The state of an object store, and its clock. Each method takes effect at once.
class StoreState {
 public:
  StoreState(Scheduler& scheduler, const StoreProfile& profile)
      : scheduler_(scheduler), profile_(profile) {}

  void SetObserver(StoreObserver* observer) { observer_ = observer; }

  void Put(std::string_view key, std::string text, int64_t bytes, uint32_t crc);
  bool CreateIfAbsent(std::string_view key, std::string text);
  const StoredObject* Find(std::string_view key) const;
  void Delete(std::string_view key);
  // As the folder was `lag_us` ago.
  ListPage List(std::string_view prefix, std::string_view start_after, int64_t limit,
                int64_t lag_us) const;
  ObjectInfo Describe(std::string_view key, const StoredObject& object) const;
  int64_t NowMs() const;
  size_t object_count() const { return objects_.size(); }

 private:
  using Objects = std::map<std::string, StoredObject, std::less<>>;

  Objects::const_iterator FirstAfter(std::string_view prefix) const;

  Scheduler& scheduler_;
  const StoreProfile& profile_;
  StoreObserver* observer_ = nullptr;
  Objects objects_;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_STORE_STATE_H_
