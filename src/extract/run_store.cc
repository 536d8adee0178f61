#include "extract/run_store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "work/keys.h"

namespace thresher {
namespace {

Result<Run> LoadPlanOf(Store& store, RunSpec spec) {
  const std::string fingerprint = spec.Fingerprint();
  const std::string key = PlanKey(fingerprint);
  Result<std::string> text = store.GetText(key);
  if (!text.ok()) return text.status().WithContext(key);
  ASSIGN_OR_RETURN(Plan plan, Plan::FromJson(*text, key));
  if (plan.sample_count() != spec.dataset.sample_count) {
    return DataLoss(key + ": expected " + std::to_string(spec.dataset.sample_count) +
                    " samples as run.json says, found " + std::to_string(plan.sample_count()));
  }
  return Run{std::move(spec), fingerprint, std::move(plan)};
}

Status DisagreementWith(const Store& store, const std::vector<std::string>& differing) {
  std::string message = store.url() + " holds a run with other settings:";
  for (const std::string& line : differing) message += "\n  " + line;
  message += "\nUse the run's settings, or another --output for a new run";
  return FailedPrecondition(std::move(message));
}

}  // namespace

Result<Run> LoadRun(Store& store) {
  Result<std::string> text = store.GetText(kRunKey);
  if (!text.ok()) return text.status().WithContext(std::string(kRunKey));
  ASSIGN_OR_RETURN(RunSpec spec, RunSpec::FromText(*text, kRunKey));
  return LoadPlanOf(store, std::move(spec));
}

Result<CreatedRecord> CreateRecord(Store& store, std::string_view key, std::string_view text) {
  constexpr int kAttempts = 5;
  Status last;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const CreateResult created = store.CreateIfAbsent(key, AsBytes(text));
    if (created.outcome == CreateOutcome::kWritten) return CreatedRecord{};
    last = created.status;
    Result<std::string> existing = store.GetText(key);
    if (existing.ok()) {
      if (*existing == text) return CreatedRecord{};
      return CreatedRecord{Creation::kSomeoneElses, *std::move(existing)};
    }
    // Refused, and yet nothing is there: the store asks us to try again (S3's 409), or the write
    // did not take effect.
    if (existing.status().code() != Code::kNotFound) last = existing.status();
  }
  if (last.ok()) last = Unavailable("the store refuses to create it, though it does not exist");
  return last.WithContext("creating " + std::string(key));
}

Result<Run> CreateOrJoinRun(Store& store, const RunSpec& wanted,
                            const std::function<Result<Plan>()>& make_plan) {
  Result<std::string> existing = store.GetText(kRunKey);
  if (!existing.ok() && existing.status().code() != Code::kNotFound) {
    return existing.status().WithContext("reading run.json in " + store.url());
  }
  if (!existing.ok()) {
    // The plan goes first, under a name that holds the run's fingerprint, so that there is never a
    // run.json without its plan.
    ASSIGN_OR_RETURN(const Plan plan, make_plan());
    const std::string plan_key = PlanKey(wanted.Fingerprint());
    RETURN_IF_ERROR(CreateRecord(store, plan_key, plan.ToJson()).status());
    RETURN_IF_ERROR(CreateRecord(store, kRunKey, wanted.ToText()).status());
  }
  ASSIGN_OR_RETURN(Run run, LoadRun(store));
  const std::vector<std::string> differing = DifferingFields(run.spec, wanted);
  if (!differing.empty()) return DisagreementWith(store, differing);
  return run;
}

Result<std::vector<int64_t>> ListUnits(Store& store, std::string_view prefix, int64_t unit_count) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, prefix));
  std::vector<int64_t> units;
  units.reserve(objects.size());
  for (const ObjectInfo& object : objects) {
    const std::optional<int64_t> unit = UnitOfRecordKey(object.key, prefix);
    if (unit && *unit < unit_count) units.push_back(*unit);
  }
  std::sort(units.begin(), units.end());
  return units;
}

Result<Commit> ReadCommit(Store& store, int64_t unit) {
  const std::string key = CommitKey(unit);
  Result<std::string> text = store.GetText(key);
  if (!text.ok()) return text.status().WithContext(key);
  return Commit::FromText(*text, key);
}

Result<Quarantine> ReadQuarantine(Store& store, int64_t unit) {
  const std::string key = QuarantineKey(unit);
  Result<std::string> text = store.GetText(key);
  if (!text.ok()) return text.status().WithContext(key);
  return Quarantine::FromText(*text, key);
}

Result<bool> WriteManifest(Store& store, const Run& run) {
  const int64_t unit_count = run.plan.unit_count();
  ASSIGN_OR_RETURN(const std::vector<int64_t> committed,
                   ListUnits(store, kCommitsPrefix, unit_count));
  ASSIGN_OR_RETURN(const std::vector<int64_t> set_aside,
                   ListUnits(store, kQuarantinePrefix, unit_count));
  std::vector<Commit> commits;
  for (const int64_t unit : committed) {
    ASSIGN_OR_RETURN(Commit commit, ReadCommit(store, unit));
    commits.push_back(std::move(commit));
  }
  std::vector<Quarantine> quarantined;
  for (const int64_t unit : set_aside) {
    if (std::binary_search(committed.begin(), committed.end(), unit)) continue;
    ASSIGN_OR_RETURN(Quarantine quarantine, ReadQuarantine(store, unit));
    quarantined.push_back(std::move(quarantine));
  }
  if (static_cast<int64_t>(commits.size() + quarantined.size()) < unit_count) return false;
  const std::string text = ManifestText(run.fingerprint, unit_count, commits, quarantined);
  // One that is there already may be of the time before a damaged unit was made again.
  const Result<std::string> existing = store.GetText(kManifestKey);
  if (existing.ok() && *existing == text) return true;
  RETURN_IF_ERROR(store.Put(kManifestKey, AsBytes(text)));
  return true;
}

}  // namespace thresher
