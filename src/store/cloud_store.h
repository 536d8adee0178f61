#ifndef THRESHER_STORE_CLOUD_STORE_H_
#define THRESHER_STORE_CLOUD_STORE_H_

#include <memory>
#include <string>
#include <string_view>

#include "store/cloud_settings.h"
#include "store/cloud_url.h"
#include "store/store.h"

namespace thresher {

// A folder in a bucket of Google Cloud Storage, S3 or what speaks its language, or Azure Blob
// Storage, through Apache OpenDAL (rust/).
//
// Time. No call hangs. One request is given up when no byte of it moved for request_timeout_ms, or
// when beyond that time it is slower than 32 KiB/s. It is tried again after lost connections,
// time-outs and the statuses 408, 429, 499, 500, 502, 503 and 504, in growing random pauses of up
// to 10 s, until retry_budget_ms after its first failure; then the call fails with kUnavailable. So
// a store that does not answer costs request_timeout_ms + retry_budget_ms. The request of a
// CreateIfAbsent is sent once: its outcome is kUnknown after request_timeout_ms. None of these
// includes the wait for upload_bytes_per_second; requests with less than 64 KiB do not wait.
//
// Memory. Uploads send the caller's bytes from where they are, in pieces of 256 KiB. Ranges are
// read in requests of 8 MiB, up to parallel_parts at a time, each held until it is whole.
//
// Uploads. Objects of more than part_bytes, which counts as at least 5 MiB and as enough for 10,000
// parts, go in parts; if one fails for good, the upload is aborted on the server (Azure removes
// blocks without a blob by itself after a week). CreateIfAbsent is for small objects: always one
// request.
//
// Checksums. Every request that writes to S3 carries the CRC-32C of its body, and the server
// refuses a body that does not fit. Stat tells the CRC-32C of GCS, and the MD5 of Azure for objects
// that were uploaded in one request; none of S3.
//
// Keys must be valid UTF-8 of at most 1,024 bytes with the folder. Other people's objects whose
// names are no keys are not listed. Azure cannot start a listing in the middle, and MinIO does it
// wrongly: there, a page is found by listing from the beginning of the prefix, unless it goes on
// where the last page that this store object listed has ended.
class CloudStore : public Store {
 public:
  // Opens the bucket without asking whether it exists. kInvalidArgument where a setting is missing
  // or wrong, kUnavailable if AWS had to be asked for the bucket's region and did not answer.
  static Result<std::unique_ptr<Store>> Open(const CloudUrl& url, const StoreOptions& options,
                                             const EnvironmentLookup& environment);

  std::string url() const override { return url_.Text(); }
  Status Put(std::string_view key, std::span<const std::byte> bytes) override;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override;
  Result<std::string> GetText(std::string_view key) override;
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override;
  Result<ObjectInfo> Stat(std::string_view key) override;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override;
  Status Delete(std::string_view key) override;

  ~CloudStore() override;

 private:
  struct Handle;
  CloudStore(CloudUrl url, std::unique_ptr<Handle> handle);

  // The object's whole name in the bucket, or why `key` is none.
  Result<std::string> NameOf(std::string_view key) const;
  Status StatusOf(int32_t outcome, std::string_view error, std::string_view what,
                  std::string_view key) const;
  // As List, but with whole names, and with those that are no keys.
  Result<ListPage> ListNames(const std::string& prefix, const std::string& start_after,
                             int64_t limit) const;

  const CloudUrl url_;
  const std::string folder_;  // with '/' at its end, or empty
  const std::unique_ptr<Handle> handle_;
};

}  // namespace thresher

#endif  // THRESHER_STORE_CLOUD_STORE_H_
