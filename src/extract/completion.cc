#include "extract/completion.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "work/keys.h"

namespace thresher {
namespace {

// The manifest's lines for the committed units, in their order. A store answers many requests in
// the time of one, so a long list is read by several threads.
Result<std::vector<ManifestEntry>> ReadEntries(Store& store, const std::vector<int64_t>& units) {
  constexpr size_t kUnitsPerThread = 64;
  constexpr size_t kMaxThreads = 32;
  std::vector<ManifestEntry> entries(units.size());
  std::atomic<size_t> next{0};
  std::mutex mutex;
  Status first_error;
  const auto read = [&] {
    for (size_t i = next++; i < units.size(); i = next++) {
      const Result<Commit> commit = ReadCommit(store, units[i]);
      if (commit.ok()) {
        entries[i] = ManifestEntry::Of(*commit);
        continue;
      }
      std::lock_guard lock(mutex);
      if (first_error.ok()) first_error = commit.status();
      next = units.size();
    }
  };
  const size_t helpers = std::min(kMaxThreads, units.size() / kUnitsPerThread);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < helpers; ++i) threads.emplace_back(read);
  read();
  for (std::thread& thread : threads) thread.join();
  RETURN_IF_ERROR(first_error);
  return entries;
}

}  // namespace

Result<std::optional<Completion>> FindCompletion(Store& store, const Run& run) {
  const std::string key = CompletionKey(run.plan.unit_count());
  const Result<std::string> text = store.GetText(key);
  if (!text.ok()) {
    if (text.status().code() == Code::kNotFound) return std::optional<Completion>();
    return text.status().WithContext(key);
  }
  ASSIGN_OR_RETURN(const Completion completion, Completion::FromText(*text, key));
  if (completion.run_fingerprint != run.fingerprint) {
    return DataLoss(key + ": belongs to another run");
  }
  return std::optional(completion);
}

Result<std::optional<Completion>> WriteManifest(Store& store, const Run& run) {
  const int64_t unit_count = run.plan.unit_count();
  ASSIGN_OR_RETURN(const std::vector<int64_t> committed,
                   ListUnits(store, kCommitsPrefix, unit_count));
  ASSIGN_OR_RETURN(const std::vector<int64_t> set_aside,
                   ListUnits(store, kQuarantinePrefix, unit_count));
  std::vector<Quarantine> quarantined;
  for (const int64_t unit : set_aside) {
    // A commit that arrives after its unit was set aside counts.
    if (std::binary_search(committed.begin(), committed.end(), unit)) continue;
    ASSIGN_OR_RETURN(Quarantine quarantine, ReadQuarantine(store, unit));
    quarantined.push_back(std::move(quarantine));
  }
  if (static_cast<int64_t>(committed.size() + quarantined.size()) < unit_count) {
    return std::optional<Completion>();
  }
  ASSIGN_OR_RETURN(const std::vector<ManifestEntry> entries, ReadEntries(store, committed));
  Completion completion{.run_fingerprint = run.fingerprint,
                        .unit_count = unit_count,
                        .quarantined_count = static_cast<int64_t>(quarantined.size())};
  for (const ManifestEntry& entry : entries) completion.rejected_count += entry.rejected_count;
  // A worker that does not know of an extension must not replace the manifest of the larger run.
  const Result<ObjectInfo> extension = store.Stat(ExtensionKey(run.extension_count + 1));
  if (!extension.ok() && extension.status().code() != Code::kNotFound) return extension.status();
  if (!extension.ok()) {
    const std::string text = ManifestText(run.fingerprint, unit_count, entries, quarantined);
    RETURN_IF_ERROR(store.Put(kManifestKey, AsBytes(text)));
  }
  RETURN_IF_ERROR(CreateRecord(store, CompletionKey(unit_count), completion.ToText()).status());
  return std::optional(completion);
}

Result<std::optional<Completion>> ConcludeRun(Store& store, Clock& clock, const Run& run,
                                              const ConcludeOptions& options) {
  const int64_t unit_count = run.plan.unit_count();
  const Lease lease{
      .unit = unit_count, .epoch = 1, .worker_id = options.worker_id, .session = options.session};
  for (int64_t epoch = 1;; ++epoch) {
    ASSIGN_OR_RETURN(std::optional<Completion> completion, FindCompletion(store, run));
    // Somebody may have deleted the manifest, to have it written again.
    const bool is_gone = store.Stat(kManifestKey).status().code() == Code::kNotFound;
    if (completion) return is_gone ? WriteManifest(store, run) : completion;
    ASSIGN_OR_RETURN(const CreatedRecord created,
                     CreateRecord(store, ManifestLeaseKey(unit_count, epoch), lease.ToText()));
    if (created.creation == Creation::kOurs) return WriteManifest(store, run);
    const int64_t since_ms = clock.MonotonicMs();
    while (clock.MonotonicMs() - since_ms < options.lease_ttl_ms) {
      if (options.should_stop && options.should_stop()) return std::optional<Completion>();
      clock.SleepMs(options.poll_ms);
      ASSIGN_OR_RETURN(completion, FindCompletion(store, run));
      if (completion) return completion;
    }
  }
}

}  // namespace thresher
