#include "extract/publish.h"

#include <string>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

// Step 2. kDataLoss if the store holds something else than what was sent, or nothing. Checksums of
// other sorts than CRC-32C are passed over: stores that report MD5 do so for small objects only.
Status Compare(Store& store, const Commit& sent) {
  const Result<ObjectInfo> stored = store.Stat(sent.shard);
  if (stored.status().code() == Code::kNotFound) {
    return DataLoss("it was uploaded, and the store does not have it");
  }
  RETURN_IF_ERROR(stored.status());
  if (stored->bytes != sent.bytes) {
    return DataLoss("uploaded " + std::to_string(sent.bytes) + " bytes, the store has " +
                    std::to_string(stored->bytes));
  }
  if (stored->checksum.starts_with("crc32c:") && stored->checksum != sent.checksum) {
    return DataLoss("uploaded " + sent.checksum + ", the store has " + stored->checksum);
  }
  return OkStatus();
}

// After a commit that came late: a clean-up may have removed the shard before. Now that a commit
// names it, none will again.
Status Restore(Store& store, Clock& clock, const Commit& commit, std::span<const std::byte> file,
               const PublishPolicy& policy) {
  const Status compared = WithRetries(clock, policy.retry, [&] { return Compare(store, commit); });
  if (compared.code() != Code::kDataLoss) return OkStatus();
  return WithRetries(clock, policy.retry, [&] { return store.Put(commit.shard, file); })
      .WithContext("uploading " + commit.shard + " again, which is committed");
}

}  // namespace

Status UploadShard(Store& store, Clock& clock, const Commit& commit,
                   std::span<const std::byte> file, const PublishPolicy& policy) {
  Status compared;
  for (int64_t upload = 0; upload < policy.uploads; ++upload) {
    RETURN_IF_ERROR(WithRetries(clock, policy.retry, [&] {
                      const TraceSpan span(policy.trace, "upload", commit.unit);
                      return store.Put(commit.shard, file);
                    }).WithContext("uploading " + commit.shard));
    compared = WithRetries(clock, policy.retry, [&] {
                 const TraceSpan span(policy.trace, "compare", commit.unit);
                 return Compare(store, commit);
               }).WithContext("after the upload of " + commit.shard);
    if (compared.code() != Code::kDataLoss) return compared;
  }
  // No commit names it. A damaged shard that cannot be deleted now is an orphan like others.
  (void)store.Delete(commit.shard);
  return compared;
}

Result<Published> PublishShard(Store& store, Clock& clock, Ledger& ledger, Commit commit,
                               std::span<const std::byte> file, const PublishPolicy& policy,
                               const std::function<void(int64_t upload_ms)>& on_uploaded) {
  THRESHER_CHECK(policy.uploads >= 1);
  THRESHER_CHECK(commit.bytes == static_cast<int64_t>(file.size()));
  const int64_t begin_ms = clock.MonotonicMs();
  RETURN_IF_ERROR(UploadShard(store, clock, commit, file, policy));
  if (on_uploaded) on_uploaded(clock.MonotonicMs() - begin_ms);

  const int64_t compared_ms = clock.MonotonicMs();
  commit.committed_unix_ms = clock.UnixMs();
  Published published;
  RETURN_IF_ERROR(WithRetries(clock, policy.retry, [&] {
                    const TraceSpan span(policy.trace, "commit", commit.unit);
                    const Result<Ledger::CommitOutcome> outcome = ledger.CommitUnit(commit);
                    if (outcome.ok()) published.outcome = *outcome;
                    return outcome.status();
                  }).WithContext("committing " + commit.shard));
  // A suspended machine's monotonic clock stands still; the other one may jump. Either will do.
  const bool was_late = clock.MonotonicMs() - compared_ms > policy.late_ms ||
                        clock.UnixMs() - commit.committed_unix_ms > policy.late_ms;
  if (was_late && published.outcome == Ledger::CommitOutcome::kCommitted) {
    RETURN_IF_ERROR(Restore(store, clock, commit, file, policy));
  }
  if (published.outcome == Ledger::CommitOutcome::kDuplicate) {
    published.left_behind = WithRetries(clock, policy.retry, [&] {
                              return store.Delete(commit.shard);
                            }).WithContext("deleting the duplicate " + commit.shard);
  }
  return published;
}

}  // namespace thresher
