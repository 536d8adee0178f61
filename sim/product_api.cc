#include "sim/product_api.h"

#include <optional>

namespace thresher::sim {

Result<Run> OpenRun(Store& store, const Workload& workload) {
  return CreateOrJoinRun(store, SpecOf(workload), [&] { return Result<Plan>(PlanOf(workload)); });
}

Ledger::Options LedgerOptions(int64_t worker_id, const std::string& session,
                              std::optional<int64_t> worker_count, int64_t lease_ttl_ms,
                              int64_t /*idle_poll_ms*/) {
  return {.worker_id = worker_id,
          .session = session,
          .worker_count = worker_count,
          .lease_ttl_ms = lease_ttl_ms};
}

Result<Step> NextStep(Ledger& ledger) {
  RETURN_IF_ERROR(ledger.Refresh());
  ASSIGN_OR_RETURN(const std::optional<Ledger::Claimed> claimed, ledger.ClaimNext());
  if (claimed) return Step{Step::Kind::kClaimed, *claimed, 0};
  if (ledger.Done()) return Step{Step::Kind::kDone, {}, 0};
  constexpr int64_t kIdlePollMs = 1000;
  return Step{Step::Kind::kWait, {}, kIdlePollMs};
}

Result<bool> Conclude(Store& store, Clock& /*clock*/, const Run& run,
                      const ConcludeParts& /*parts*/) {
  ASSIGN_OR_RETURN(const bool whole, WriteManifest(store, run));
  if (!whole) return DataLoss("commits that were there have disappeared");
  return true;
}

std::string ManifestOf(const Run& run, const std::vector<Commit>& commits,
                       const std::vector<Quarantine>& quarantined) {
  return ManifestText(run.fingerprint, run.plan.unit_count(), commits, quarantined);
}

}  // namespace thresher::sim
