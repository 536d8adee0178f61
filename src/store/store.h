#ifndef THRESHER_STORE_STORE_H_
#define THRESHER_STORE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

struct ObjectInfo {
  std::string key;
  int64_t bytes = 0;
  // When the object was last written, in milliseconds of the store's own clock. Comparable with
  // other objects of the same store only, never with a worker's clock.
  int64_t modified_ms = 0;
  // From Stat only, and only of stores that compute one themselves: "crc32c:<8 hex digits>" or
  // "md5:<32 hex digits>" of the object's bytes. Empty otherwise.
  std::string checksum = {};
};

struct ListPage {
  std::vector<ObjectInfo> objects;  // ascending by key (byte order)
  bool more = false;                // true: ask again with start_after = the last key
};

enum class CreateOutcome {
  kWritten,   // this call created the object, whole and durable
  kConflict,  // an object of that name was there already; nothing was changed
  kUnknown,   // the answer was lost or an error came: the object may or may not be there; read it
};

struct [[nodiscard]] CreateResult {
  CreateOutcome outcome = CreateOutcome::kUnknown;
  Status status;  // why the outcome is unknown; ok otherwise
};

inline constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

// A folder of objects in an object store: names to immutable byte strings. Keys are relative to
// that folder, with '/' between parts ("commits/unit-000123.json"); parts are never empty, "." or
// "..", do not begin with ".tmp-" (reserved for drivers) and hold no NUL. An object is seen either
// whole or not at all, whatever happens to the writer. A key is not also a folder of other keys.
// All methods are thread-safe and may block; none throws.
class Store {
 public:
  virtual ~Store() = default;

  // The folder's address as the user wrote it, in canonical form: "file:///data/run1".
  virtual std::string url() const = 0;

  // Creates or replaces the object. On an error the object is as it was before, or as it should be
  // after. `bytes` is borrowed until the call returns.
  virtual Status Put(std::string_view key, std::span<const std::byte> bytes) = 0;

  // Creates the object if no object of that name exists: of any number of calls for one key, from
  // any machines, at most one returns kWritten. The only conditional write there is.
  virtual CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) = 0;

  // The whole object as it was at one moment, also while it is being replaced; for small objects.
  // kNotFound if there is no such object, kDataLoss if it has more than kMaxTextBytes.
  virtual Result<std::string> GetText(std::string_view key) = 0;

  // Fills `out` with the object's bytes from `offset` on. kNotFound if there is no such object;
  // kDataLoss if it ends before `out` is full.
  virtual Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) = 0;

  // kNotFound if there is no such object.
  virtual Result<ObjectInfo> Stat(std::string_view key) = 0;

  // Up to `limit` objects whose keys begin with `prefix` and sort after `start_after`. An empty
  // page with more == false where there is none, also if the folder does not exist.
  virtual Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                                int64_t limit) = 0;

  // Ok also if there is no such object.
  virtual Status Delete(std::string_view key) = 0;
};

// How a cloud store is reached and used; local and memory stores have no use for it.
struct StoreOptions {
  std::string endpoint = {};      // "http://127.0.0.1:9000"; empty: the cloud's own
  bool anonymous = false;         // no credentials at all: public buckets, test servers
  int64_t part_bytes = 32 << 20;  // objects larger than this are uploaded in such parts; 0: never
  int64_t parallel_parts = 8;     // parts of one object on their way at the same time
  int64_t request_timeout_ms = 60'000;  // of one request, or of one part on its way
  int64_t retry_budget_ms = 120'000;    // temporary errors of one call are tried again for so long
  int64_t upload_bytes_per_second = 0;  // of this store object, all uploads together; 0: no limit
};

// What OpenStore says of an address without looking at what is there: kInvalidArgument if it could
// not be one.
Status CheckStoreUrl(std::string_view url);

// Opens the folder that `url` names: "gs://bucket/folder", "s3://bucket/folder",
// "az://container/folder", "file:///folder", a plain path, or "memory:" (empty and private to the
// returned object). Creates nothing. kInvalidArgument for other schemes.
Result<std::unique_ptr<Store>> OpenStore(std::string_view url, const StoreOptions& options = {});

// No part of a key begins with this: drivers may give such names to what is not an object.
inline constexpr std::string_view kReservedKeyPrefix = ".tmp-";

// kInvalidArgument unless `key` has the form that Store asks for.
Status CheckKey(std::string_view key);

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Every object whose key begins with `prefix`, page by page.
Result<std::vector<ObjectInfo>> ListAll(Store& store, std::string_view prefix);

}  // namespace thresher

#endif  // THRESHER_STORE_STORE_H_
