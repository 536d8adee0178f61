#include "merge/merge_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/byte_size.h"
#include "base/check.h"
#include "extract/completion.h"
#include "extract/run_store.h"
#include "merge/copy_unit.h"
#include "merge/merged_spec.h"
#include "merge/overlap.h"
#include "merge/part_shard.h"
#include "store/contract.h"
#include "work/keys.h"

namespace thresher {
namespace {

// Counts the steps of one phase. Thread-safe.
class Phase {
 public:
  Phase(const MergeOptions& options, const char* name, int64_t total)
      : options_(options), name_(name), total_(total) {}

  void Step() {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (options_.on_progress) options_.on_progress(name_, done_, total_);
  }

 private:
  const MergeOptions& options_;
  const char* name_;
  const int64_t total_;
  std::mutex mutex_;
  int64_t done_ = 0;
};

Result<MergePart> OpenPart(const MergeSource& source) {
  Result<Run> run = LoadRun(*source.store);
  if (!run.ok()) return run.status().WithContext(source.url);
  MergePart part{.url = source.url,
                 .store = source.store,
                 .run = *std::move(run),
                 .committed = {},
                 .set_aside = {}};
  const int64_t unit_count = part.run.plan.unit_count();
  ASSIGN_OR_RETURN(part.committed, ListUnits(*source.store, kCommitsPrefix, unit_count));
  ASSIGN_OR_RETURN(part.set_aside, ListUnits(*source.store, kQuarantinePrefix, unit_count));
  std::erase_if(part.set_aside, [&](int64_t unit) {
    return std::binary_search(part.committed.begin(), part.committed.end(), unit);
  });
  const auto finished = static_cast<int64_t>(part.committed.size() + part.set_aside.size());
  if (finished < unit_count) {
    return FailedPrecondition(fmt::format(
        "{} is not complete: {} of its {} units are missing; start workers on it until it is",
        source.url, FormatCount(unit_count - finished), FormatCount(unit_count)));
  }
  return part;
}

class Merge {
 public:
  Merge(std::vector<MergePart> parts, Store& output, Clock& clock, const MergeOptions& options)
      : parts_(std::move(parts)), output_(output), clock_(clock), options_(options) {}

  Result<MergeReport> Run();

 private:
  Status CheckOverlap();
  Result<thresher::Run> Begin(const RunSpec& spec);
  Status CopyUnits(const thresher::Run& run);
  Status CopySetAside();
  Status CopyHeartbeats();

  std::vector<MergePart> parts_;
  Store& output_;
  Clock& clock_;
  const MergeOptions& options_;
  MergeReport report_;
};

Status Merge::CheckOverlap() {
  if (options_.allow_duplicates) return OkStatus();
  int64_t shard_count = 0;
  for (const MergePart& part : parts_) shard_count += static_cast<int64_t>(part.committed.size());
  Phase phase(options_, "compared", shard_count);
  ASSIGN_OR_RETURN(const Overlap overlap,
                   FindOverlap(parts_, 4 * options_.connections, [&] { phase.Step(); }));
  if (overlap.count == 0) return OkStatus();
  const OverlappingSample& first = overlap.first;
  return FailedPrecondition(fmt::format(
      "{} samples are in two of the runs, the same key and tokens; the first: sample {} of {} is "
      "sample {} of {}. If they are to be stored twice, give --allow-duplicates",
      FormatCount(overlap.count), first.sample, parts_[first.part].url, first.earlier_sample,
      parts_[first.earlier_part].url));
}

// Checks what takes long only if the run is not there yet: it was checked when it was begun.
Result<thresher::Run> Merge::Begin(const RunSpec& spec) {
  const Result<RunSpec> present = LoadRunSpec(output_);
  if (!present.ok() && present.status().code() != Code::kNotFound) {
    return present.status().WithContext("reading run.json in " + output_.url());
  }
  if (present.ok() && present->Fingerprint() != spec.Fingerprint()) {
    return FailedPrecondition(output_.url() +
                              " holds another run: give --output a folder of its own");
  }
  if (!present.ok()) RETURN_IF_ERROR(CheckOverlap());
  return CreateOrJoinRun(
      output_, spec,
      {.make_plan = [&](SampleRange) { return Result<Plan>(MergedPlan(parts_)); },
       .dataset_fingerprint =
           [&](int64_t) { return Result<std::string>(spec.dataset.fingerprint); }});
}

Status Merge::CopyUnits(const thresher::Run& run) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> done,
                   ListUnits(output_, kCommitsPrefix, run.plan.unit_count()));
  struct Task {
    const MergePart* part;
    int64_t unit;
  };
  std::vector<Task> tasks;
  for (const MergePart& part : parts_) {
    for (const int64_t unit : part.committed) {
      if (std::binary_search(done.begin(), done.end(), part.first_unit + unit)) continue;
      tasks.push_back({&part, unit});
    }
  }
  const MergeTarget target{output_, clock_, run.fingerprint};
  Phase phase(options_, "copied", static_cast<int64_t>(tasks.size()));
  const Status copied =
      ForEach(options_.connections, static_cast<int64_t>(tasks.size()), [&](int64_t i) {
        const Task& task = tasks[static_cast<size_t>(i)];
        Status status = CopyUnit(*task.part, task.unit, target);
        if (status.ok()) phase.Step();
        return status;
      });
  RETURN_IF_ERROR(copied);
  report_.copied_count = static_cast<int64_t>(tasks.size());
  return OkStatus();
}

Status Merge::CopySetAside() {
  for (const MergePart& part : parts_) {
    for (const int64_t unit : part.set_aside) {
      Result<Quarantine> quarantine = ReadQuarantine(*part.store, unit);
      if (!quarantine.ok()) return quarantine.status().WithContext(part.url);
      quarantine->unit += part.first_unit;
      quarantine->first_sample += part.first_sample;
      RETURN_IF_ERROR(
          CreateRecord(output_, QuarantineKey(quarantine->unit), quarantine->ToText()).status());
    }
  }
  return OkStatus();
}

// What the summary says of the work done comes from them. Their workers do not work on this run.
Status Merge::CopyHeartbeats() {
  for (const MergePart& part : parts_) {
    ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(*part.store, kWorkersPrefix));
    for (const ObjectInfo& object : objects) {
      if (!ParseHeartbeatKey(object.key)) continue;
      ASSIGN_OR_RETURN(const std::string text, part.store->GetText(object.key));
      Result<Heartbeat> heartbeat = Heartbeat::FromText(text, object.key);
      if (!heartbeat.ok()) continue;
      heartbeat->state = "stopped";
      heartbeat->units_held.clear();
      RETURN_IF_ERROR(output_.Put(object.key, AsBytes(heartbeat->ToText())));
    }
  }
  return OkStatus();
}

Result<MergeReport> Merge::Run() {
  ASSIGN_OR_RETURN(const RunSpec spec, MergedSpec(parts_));
  ASSIGN_OR_RETURN(const thresher::Run run, Begin(spec));
  report_.run_fingerprint = run.fingerprint;
  report_.unit_count = run.plan.unit_count();
  report_.sample_count = run.plan.sample_count();
  RETURN_IF_ERROR(CopyUnits(run));
  RETURN_IF_ERROR(CopySetAside());
  RETURN_IF_ERROR(CopyHeartbeats());
  ASSIGN_OR_RETURN(const std::optional<Completion> completion, WriteManifest(output_, run));
  if (!completion) {
    return Unavailable("units that were copied to " + output_.url() +
                       " are not there: did somebody remove them? Start the merge again");
  }
  report_.completion = *completion;
  return std::move(report_);
}

}  // namespace

Result<MergeReport> MergeRuns(const std::vector<MergeSource>& sources, Store& output, Clock& clock,
                              const MergeOptions& options) {
  THRESHER_CHECK(sources.size() >= 2);
  std::vector<MergePart> parts;
  for (const MergeSource& source : sources) {
    ASSIGN_OR_RETURN(MergePart part, OpenPart(source));
    if (!parts.empty()) {
      const MergePart& before = parts.back();
      part.first_unit = before.first_unit + before.run.plan.unit_count();
      part.first_sample = before.first_sample + before.run.plan.sample_count();
    }
    parts.push_back(std::move(part));
  }
  return Merge(std::move(parts), output, clock, options).Run();
}

}  // namespace thresher
