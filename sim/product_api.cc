#include "sim/product_api.h"

#include <optional>

#include "extract/completion.h"
#include "extract/run_summary.h"

namespace thresher::sim {

Result<Run> OpenRun(Store& store, const Workload& workload) {
  return CreateOrJoinRun(
      store, SpecOf(workload),
      {.make_plan = [&](SampleRange) { return Result<Plan>(PlanOf(workload)); },
       .dataset_fingerprint = [&](int64_t) { return SpecOf(workload).dataset.fingerprint; }});
}

Ledger::Options LedgerOptions(int64_t worker_id, const std::string& session,
                              std::optional<int64_t> worker_count, int64_t lease_ttl_ms,
                              int64_t idle_poll_ms) {
  return {.worker_id = worker_id,
          .session = session,
          .worker_count = worker_count,
          .lease_ttl_ms = lease_ttl_ms,
          .idle_poll_ms = idle_poll_ms};
}

Result<Step> NextStep(Ledger& ledger) {
  ASSIGN_OR_RETURN(const Ledger::Step step, ledger.Next());
  switch (step.kind) {
    case Ledger::Step::Kind::kClaimed:
      return Step{Step::Kind::kClaimed, step.claimed, 0};
    case Ledger::Step::Kind::kWait:
      return Step{Step::Kind::kWait, {}, step.wait_ms};
    case Ledger::Step::Kind::kDone:
      break;
  }
  return Step{Step::Kind::kDone, {}, 0};
}

Result<bool> Conclude(Store& store, Clock& clock, const Run& run, const ConcludeParts& parts) {
  ASSIGN_OR_RETURN(const std::optional<Completion> completion,
                   ConcludeRun(store, clock, run,
                               {.worker_id = parts.worker_id,
                                .session = parts.session,
                                .lease_ttl_ms = parts.lease_ttl_ms,
                                .poll_ms = parts.idle_poll_ms,
                                .should_stop = parts.should_stop}));
  if (completion) return true;
  if (parts.should_stop()) return false;
  return DataLoss("commits that were there have disappeared");
}

std::string ManifestOf(const Run& run, const std::vector<Commit>& commits,
                       const std::vector<Quarantine>& quarantined) {
  std::vector<ManifestEntry> entries;
  for (const Commit& commit : commits) entries.push_back(ManifestEntry::Of(commit));
  return ManifestText(run.fingerprint, run.plan.unit_count(), entries, quarantined);
}

std::string SummaryContentOf(const Run& run, const std::vector<Commit>& commits,
                             const std::vector<Quarantine>& quarantined) {
  RunSummaryBuilder builder(run);
  for (const Commit& commit : commits) builder.Add(commit);
  for (const Quarantine& quarantine : quarantined) builder.AddSetAside(quarantine.sample_count);
  return SummaryContent(builder.Finish()).dump();
}

}  // namespace thresher::sim
