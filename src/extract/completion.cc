#include "extract/completion.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "extract/idle_pause.h"
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

// The units of a run by what became of them, each list ascending.
struct FinishedUnits {
  std::vector<int64_t> committed;
  std::vector<int64_t> set_aside;  // and not committed: a commit that comes later counts
  std::vector<int64_t> missing;
};

// An error is no answer: a unit is missing only if the store says so.
Result<bool> IsThere(Store& store, const std::string& key) {
  const Result<ObjectInfo> info = store.Stat(key);
  if (info.status().code() == Code::kNotFound) return false;
  if (!info.ok()) return info.status().WithContext(key);
  return true;
}

// What lists do not show is asked for by name: lists may lag.
Result<FinishedUnits> FindFinishedUnits(Store& store, int64_t unit_count) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> committed,
                   ListUnits(store, kCommitsPrefix, unit_count));
  ASSIGN_OR_RETURN(const std::vector<int64_t> set_aside,
                   ListUnits(store, kQuarantinePrefix, unit_count));
  FinishedUnits units;
  for (int64_t unit = 0; unit < unit_count; ++unit) {
    const auto is_in = [&](const std::vector<int64_t>& list) {
      return std::binary_search(list.begin(), list.end(), unit);
    };
    const bool is_listed_aside = is_in(set_aside);
    bool is_committed = is_in(committed);
    if (!is_committed && !is_listed_aside) {
      ASSIGN_OR_RETURN(is_committed, IsThere(store, CommitKey(unit)));
    }
    if (is_committed) {
      units.committed.push_back(unit);
      continue;
    }
    bool is_set_aside = is_listed_aside;
    if (!is_set_aside) {
      ASSIGN_OR_RETURN(is_set_aside, IsThere(store, QuarantineKey(unit)));
    }
    if (is_set_aside) {
      units.set_aside.push_back(unit);
      continue;
    }
    units.missing.push_back(unit);
    constexpr size_t kEnough = 1'000;
    if (units.missing.size() == kEnough) break;
  }
  return units;
}

Result<bool> IsExtended(Store& store, const Run& run) {
  return IsThere(store, ExtensionKey(run.extension_count + 1));
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
  ASSIGN_OR_RETURN(const FinishedUnits units, FindFinishedUnits(store, unit_count));
  if (!units.missing.empty()) {
    // Somebody has removed commits by hand, or opened units while others looked.
    RETURN_IF_ERROR(RemoveFinishedMarks(store, unit_count, units.missing));
    return std::optional<Completion>();
  }
  std::vector<Quarantine> quarantined;
  for (const int64_t unit : units.set_aside) {
    ASSIGN_OR_RETURN(Quarantine quarantine, ReadQuarantine(store, unit));
    quarantined.push_back(std::move(quarantine));
  }
  ASSIGN_OR_RETURN(const std::vector<ManifestEntry> entries, ReadEntries(store, units.committed));
  Completion completion{.run_fingerprint = run.fingerprint,
                        .unit_count = unit_count,
                        .quarantined_count = static_cast<int64_t>(quarantined.size())};
  for (const ManifestEntry& entry : entries) completion.rejected_count += entry.rejected_count;
  // A worker that does not know of an extension must not replace the manifest of the larger run. If
  // the extension came while we wrote, its manifest may be the one that we replaced.
  ASSIGN_OR_RETURN(const bool extended_before, IsExtended(store, run));
  if (!extended_before) {
    const std::string text = ManifestText(run.fingerprint, unit_count, entries, quarantined);
    RETURN_IF_ERROR(store.Put(kManifestKey, AsBytes(text)));
    ASSIGN_OR_RETURN(const bool extended_after, IsExtended(store, run));
    if (extended_after) {
      ASSIGN_OR_RETURN(const Run larger, LoadRun(store));
      RETURN_IF_ERROR(WriteManifest(store, larger).status());
    }
  }
  RETURN_IF_ERROR(CreateRecord(store, CompletionKey(unit_count), completion.ToText()).status());
  return std::optional(completion);
}

Result<bool> IsStillComplete(Store& store, const Run& run) {
  const int64_t unit_count = run.plan.unit_count();
  ASSIGN_OR_RETURN(const FinishedUnits units, FindFinishedUnits(store, unit_count));
  if (units.missing.empty()) return true;
  RETURN_IF_ERROR(RemoveFinishedMarks(store, unit_count, units.missing));
  RETURN_IF_ERROR(DeleteBelow(store, ManifestLeasePrefix(unit_count)));
  for (const int64_t unit : units.missing) {
    RETURN_IF_ERROR(DeleteBelow(store, LeasePrefix(unit)));
  }
  return false;
}

Result<std::optional<Completion>> ConcludeRun(Store& store, Clock& clock, const Run& run,
                                              const ConcludeOptions& options) {
  const int64_t unit_count = run.plan.unit_count();
  const Lease lease{
      .unit = unit_count, .epoch = 1, .worker_id = options.worker_id, .session = options.session};
  IdlePause pause(options.poll_ms, options.lease_ttl_ms / 8, options.session);
  for (int64_t epoch = 1;; ++epoch) {
    ASSIGN_OR_RETURN(std::optional<Completion> completion, FindCompletion(store, run));
    if (completion) {
      // Somebody may have deleted the manifest, to have it written again.
      ASSIGN_OR_RETURN(const bool has_manifest, IsThere(store, std::string(kManifestKey)));
      return has_manifest ? completion : WriteManifest(store, run);
    }
    ASSIGN_OR_RETURN(const CreatedRecord created,
                     CreateRecord(store, ManifestLeaseKey(unit_count, epoch), lease.ToText()));
    if (created.creation == Creation::kOurs) return WriteManifest(store, run);
    const int64_t since_ms = clock.MonotonicMs();
    while (clock.MonotonicMs() - since_ms < options.lease_ttl_ms) {
      if (options.should_stop && options.should_stop()) return std::optional<Completion>();
      clock.SleepMs(pause.NextMs());
      ASSIGN_OR_RETURN(completion, FindCompletion(store, run));
      if (completion) return completion;
    }
  }
}

}  // namespace thresher
