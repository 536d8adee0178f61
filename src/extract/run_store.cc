#include "extract/run_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/check.h"
#include "store/for_each_object.h"
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

Status AddExtension(const Extension& extension, const std::string& key, Run& run) {
  const int64_t sample_count = run.plan.sample_count() + extension.plan.sample_count();
  if (extension.run_fingerprint != run.fingerprint ||
      extension.dataset.sample_count != sample_count) {
    return DataLoss(key + ": does not fit run.json and the extensions before it");
  }
  run.spec.dataset = extension.dataset;
  run.plan.Append(extension.plan);
  ++run.extension_count;
  return OkStatus();
}

// Those that `run` does not have yet. By name, since lists may lag.
Status LoadExtensions(Store& store, Run& run) {
  for (;;) {
    const std::string key = ExtensionKey(run.extension_count + 1);
    Result<std::string> text = store.GetText(key);
    if (text.status().code() == Code::kNotFound) return OkStatus();
    if (!text.ok()) return text.status().WithContext(key);
    ASSIGN_OR_RETURN(const Extension extension, Extension::FromText(*text, key));
    RETURN_IF_ERROR(AddExtension(extension, key, run));
  }
}

// True if nothing but the data set differs, and the worker's is longer.
bool IsLonger(const RunSpec& run, const RunSpec& wanted) {
  RunSpec with_runs_dataset = wanted;
  with_runs_dataset.dataset = run.dataset;
  return DifferingFields(run, with_runs_dataset).empty() &&
         wanted.dataset.sample_count > run.dataset.sample_count;
}

Result<Run> LoadRunOf(Store& store, RunSpec spec) {
  ASSIGN_OR_RETURN(Run run, LoadPlanOf(store, std::move(spec)));
  RETURN_IF_ERROR(LoadExtensions(store, run));
  return run;
}

Result<RunSpec> SpecFromText(const Store& store, const std::string& text) {
  Result<RunSpec> spec = RunSpec::FromText(text, kRunKey);
  if (!spec.ok()) return spec.status().WithContext(store.url());
  return spec;
}

// A run replaces these when it ends, so where there is no run they are somebody else's.
Status CheckNothingWouldBeReplaced(Store& store) {
  for (const std::string_view key : kFinishKeys) {
    const Status there = store.Stat(key).status();
    if (there.code() == Code::kNotFound) continue;
    RETURN_IF_ERROR(there);
    // Written by a run that somebody else has begun and finished just now?
    if (store.Stat(kRunKey).ok()) return OkStatus();
    return FailedPrecondition(fmt::format(
        "{} holds a {} and no run: the run would replace it. Choose an empty folder for the run, "
        "or move that file away",
        store.url(), key));
  }
  return OkStatus();
}

Status DisagreementWith(const Store& store, const Run& run, const RunSpec& wanted) {
  std::string message = store.url() + " holds a run with other settings:";
  for (const std::string& line : DifferingFields(run.spec, wanted)) message += "\n  " + line;
  const std::string& path = run.spec.dataset.path;
  if (path != wanted.dataset.path) {
    message += "\n  the run's data set is " + path + ", this worker's " + wanted.dataset.path;
  }
  message += "\nUse the run's settings, or another --output for a new run";
  if (IsLonger(run.spec, wanted)) {
    message += "; or add the new samples to this run with --extend";
  }
  if (DifferInEngineOnly(run.spec, wanted)) {
    message +=
        "; or let both engines work on it with --allow-mixed-engines: their rows differ in the "
        "last bits";
  }
  return FailedPrecondition(std::move(message));
}

// Creates the next extension of the run, unless somebody else has by now.
Status Extend(Store& store, const Run& run, const RunSpec& wanted, const JoinParts& parts) {
  const int64_t first = run.spec.dataset.sample_count;
  ASSIGN_OR_RETURN(const std::string fingerprint, parts.dataset_fingerprint(first));
  if (fingerprint != run.spec.dataset.fingerprint) {
    return FailedPrecondition(wanted.dataset.path + " does not begin with the " +
                              std::to_string(first) + " samples of the run in " + store.url() +
                              ": a run can only be extended at its end");
  }
  ASSIGN_OR_RETURN(Plan plan, parts.make_plan({first, wanted.dataset.sample_count - first}));
  const Extension extension{run.fingerprint, wanted.dataset, std::move(plan)};
  const std::string key = ExtensionKey(run.extension_count + 1);
  return CreateRecord(store, key, extension.ToText()).status();
}

}  // namespace

Result<RunSpec> LoadRunSpec(Store& store) {
  Result<std::string> text = store.GetText(kRunKey);
  if (!text.ok()) return text.status().WithContext(std::string(kRunKey));
  return SpecFromText(store, *text);
}

Result<Run> LoadRun(Store& store) {
  ASSIGN_OR_RETURN(RunSpec spec, LoadRunSpec(store));
  return LoadRunOf(store, std::move(spec));
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

Result<Run> CreateOrJoinRun(Store& store, const RunSpec& wanted, const JoinParts& parts) {
  Result<std::string> text = store.GetText(kRunKey);
  if (!text.ok() && text.status().code() != Code::kNotFound) {
    return text.status().WithContext("reading run.json in " + store.url());
  }
  if (!text.ok()) {
    RETURN_IF_ERROR(CheckNothingWouldBeReplaced(store));
    // The plan goes first, under a name that holds the run's fingerprint, so that there is never a
    // run.json without its plan.
    ASSIGN_OR_RETURN(const Plan plan, parts.make_plan({0, wanted.dataset.sample_count}));
    const std::string plan_key = PlanKey(wanted.Fingerprint());
    RETURN_IF_ERROR(CreateRecord(store, plan_key, plan.ToJson()).status());
    text = wanted.ToText();
    ASSIGN_OR_RETURN(CreatedRecord created, CreateRecord(store, kRunKey, *text));
    if (created.creation == Creation::kSomeoneElses) text = std::move(created.existing);
  }
  ASSIGN_OR_RETURN(RunSpec spec, SpecFromText(store, *text));
  ASSIGN_OR_RETURN(Run run, LoadRunOf(store, std::move(spec)));
  if (parts.extend && IsLonger(run.spec, wanted)) {
    RETURN_IF_ERROR(Extend(store, run, wanted, parts));
    RETURN_IF_ERROR(LoadExtensions(store, run));
  }
  const bool may_join = DifferingFields(run.spec, wanted).empty() ||
                        (parts.allow_mixed_engines && DifferInEngineOnly(run.spec, wanted));
  if (!may_join) return DisagreementWith(store, run, wanted);
  return run;
}

Result<std::vector<int64_t>> ListUnits(Store& store, std::string_view prefix, int64_t unit_count) {
  std::vector<int64_t> units;
  RETURN_IF_ERROR(ForEachObject(store, prefix, [&](const ObjectInfo& object) {
    const std::optional<int64_t> unit = UnitOfRecordKey(object.key, prefix);
    if (unit && *unit < unit_count) units.push_back(*unit);
  }));
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

Status DeleteBelow(Store& store, const std::string& prefix) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, prefix));
  for (const ObjectInfo& object : objects) RETURN_IF_ERROR(store.Delete(object.key));
  return OkStatus();
}

Status RemoveFinishedMarks(Store& store, int64_t unit_count, const std::vector<int64_t>& units) {
  RETURN_IF_ERROR(store.Delete(CompletionKey(unit_count)));
  std::set<int64_t> blocks;
  for (const int64_t unit : units) blocks.insert(BlockOf(unit));
  for (const int64_t block : blocks) {
    RETURN_IF_ERROR(DeleteBelow(store, BlockMarkPrefix(block)));
  }
  return OkStatus();
}

// Whatever says "finished" goes before the commit, so that whoever is stopped on the way leaves a
// unit that is finished or can be claimed; and after it once more, for a worker that looked in
// between may have marked the block again.
Status ReopenUnit(Store& store, const Run& run, int64_t unit) {
  const int64_t unit_count = run.plan.unit_count();
  if (unit < 0 || unit >= unit_count) {
    return InvalidArgument("unit " + std::to_string(unit) + ": the run has units 0 to " +
                           std::to_string(unit_count - 1));
  }
  const auto remove_marks = [&]() -> Status {
    RETURN_IF_ERROR(RemoveFinishedMarks(store, unit_count, {unit}));
    for (const std::string_view key : kFinishKeys) RETURN_IF_ERROR(store.Delete(key));
    return DeleteBelow(store, ManifestLeasePrefix(unit_count));
  };
  RETURN_IF_ERROR(remove_marks());
  RETURN_IF_ERROR(DeleteBelow(store, LeasePrefix(unit)));
  RETURN_IF_ERROR(store.Delete(QuarantineKey(unit)));
  RETURN_IF_ERROR(store.Delete(CommitKey(unit)));
  return remove_marks();
}

}  // namespace thresher
