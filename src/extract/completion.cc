#include "extract/completion.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "extract/commit_scan.h"
#include "extract/idle_pause.h"
#include "extract/run_readme.h"
#include "extract/run_summary.h"
#include "extract/work_done.h"
#include "work/keys.h"

namespace thresher {
namespace {

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

// What is written at the end of a run, and the record that it is.
struct FinishFiles {
  std::string manifest;
  std::string summary;
  std::string readme;
  Completion completion;
};

// A store answers many requests in the time of one, so a long list is read by several threads.
int ReadersFor(size_t count) {
  constexpr size_t kObjectsPerReader = 64;
  constexpr size_t kMaxReaders = 32;
  return static_cast<int>(std::min(kMaxReaders, count / kObjectsPerReader));
}

Result<FinishFiles> MakeFinishFiles(Store& store, const Run& run, const FinishedUnits& units) {
  ManifestWriter manifest(run.fingerprint, run.plan.unit_count());
  RunSummaryBuilder builder(run);
  std::vector<Quarantine> quarantined;
  for (const int64_t unit : units.set_aside) {
    ASSIGN_OR_RETURN(Quarantine quarantine, ReadQuarantine(store, unit));
    builder.AddSetAside(quarantine.sample_count);
    quarantined.push_back(std::move(quarantine));
  }
  Status first_error;
  ScanCommits(
      store, units.committed,
      [&](int64_t, const Result<Commit>& commit) {
        if (commit.ok()) {
          manifest.Add(ManifestEntry::Of(*commit));
          builder.Add(*commit);
        } else if (first_error.ok()) {
          first_error = commit.status();
        }
      },
      ReadersFor(units.committed.size()));
  RETURN_IF_ERROR(first_error);
  ASSIGN_OR_RETURN(const WorkDone work, ReadWorkDone(store, ReadersFor(units.committed.size())));
  const RunSummary summary = builder.Finish();
  FinishFiles files;
  files.completion = {.run_fingerprint = run.fingerprint,
                      .unit_count = run.plan.unit_count(),
                      .rejected_count = summary.samples_rejected,
                      .quarantined_count = summary.quarantined_count};
  files.manifest = std::move(manifest).Finish(quarantined);
  files.summary = SummaryText(run.fingerprint, summary, WorkDoneJson(work, summary.forward_tokens));
  files.readme = RunReadme(run.spec, summary);
  return files;
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
  ASSIGN_OR_RETURN(const FinishFiles files, MakeFinishFiles(store, run, units));
  // A worker that does not know of an extension must not replace the manifest of the larger run. If
  // the extension came while we wrote, its manifest may be the one that we replaced.
  ASSIGN_OR_RETURN(const bool extended_before, IsExtended(store, run));
  if (!extended_before) {
    RETURN_IF_ERROR(store.Put(kManifestKey, AsBytes(files.manifest)));
    RETURN_IF_ERROR(store.Put(kSummaryKey, AsBytes(files.summary)));
    RETURN_IF_ERROR(store.Put(kReadmeKey, AsBytes(files.readme)));
    ASSIGN_OR_RETURN(const bool extended_after, IsExtended(store, run));
    if (extended_after) {
      ASSIGN_OR_RETURN(const Run larger, LoadRun(store));
      RETURN_IF_ERROR(WriteManifest(store, larger).status());
    }
  }
  RETURN_IF_ERROR(
      CreateRecord(store, CompletionKey(unit_count), files.completion.ToText()).status());
  return std::optional(files.completion);
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
      // Runs of earlier versions are complete without it.
      ASSIGN_OR_RETURN(const bool has_readme, IsThere(store, std::string(kReadmeKey)));
      return has_manifest && has_readme ? completion : WriteManifest(store, run);
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
