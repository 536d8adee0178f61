#include "extract/uploader.h"

#include <algorithm>

#include "extract/handover.h"
#include "work/keys.h"

namespace thresher {

Status Uploader::Finish(UnitInFlight& unit) {
  Commit commit = unit.builder->DescribeContent();
  commit.worker_id = p_.ledger.options().worker_id;
  commit.session = p_.ledger.options().session;
  commit.shard = ShardKey(commit.worker_id, commit.unit, commit.epoch, commit.session);
  if (p_.spool) p_.spool->Save(commit, unit.builder->file());
  int64_t took_ms = 0;
  const auto on_uploaded = [&](int64_t upload_ms) {
    took_ms = upload_ms;
    upload_bytes_per_ms_ = std::max<int64_t>(1, commit.bytes / std::max<int64_t>(1, upload_ms));
    p_.progress.bytes_uploaded += commit.bytes;
    p_.progress.upload_us += 1000 * upload_ms;
  };
  ASSIGN_OR_RETURN(const Published published,
                   PublishShard(p_.store, p_.clock, p_.ledger, commit, unit.builder->file(),
                                policy_, on_uploaded));
  p_.progress.LetGo(commit.unit);
  const bool ours = published.outcome == Ledger::CommitOutcome::kCommitted;
  if (p_.spool) p_.spool->Settle(commit.unit, ours ? commit.shard : "");
  if (!ours) {
    ++p_.progress.units_duplicate;
    p_.log.Info("thrown away: another worker was faster", {UnitField(commit.unit)});
    if (!published.left_behind.ok()) {
      p_.log.Warning(published.left_behind.message(), {UnitField(commit.unit)});
    }
    return OkStatus();
  }
  CountCommit(commit);
  p_.log.Info("committed", {UnitField(commit.unit),
                            {"epoch", commit.epoch},
                            {"samples", commit.sample_count},
                            {"rejected", static_cast<int64_t>(commit.rejected.size())},
                            {"tokens", commit.token_count},
                            {"bytes", commit.bytes},
                            {"upload_ms", took_ms},
                            {"shard", commit.shard}});
  if (unit.job.epoch > 1) {
    const Status deleted = DeleteHandovers(p_.store, commit.unit);
    if (!deleted.ok()) {
      p_.log.Warning("a handover is left behind: " + deleted.message(), {UnitField(commit.unit)});
    }
  }
  return OkStatus();
}

void Uploader::CountCommit(const Commit& commit) {
  ++p_.progress.units_committed;
  ++p_.progress.run_units_finished;
  p_.progress.samples_committed += commit.sample_count;
  p_.progress.samples_rejected += static_cast<int64_t>(commit.rejected.size());
  p_.progress.samples_truncated += commit.truncated_count;
  p_.progress.tokens_committed += commit.token_count;
  p_.progress.forward_tokens_committed += commit.forward_token_count;
  p_.progress.bytes_committed += commit.bytes;
  p_.progress.last_sample_committed = commit.first_sample + commit.sample_count - 1;
}

Status Uploader::HandOver(UnitInFlight& unit, int64_t sequences) {
  if (sequences > 0) {
    RETURN_IF_ERROR(SaveHandover(p_.store, p_.format, unit.job, *unit.builder, sequences)
                        .WithContext("handing over " + UnitName(unit.job.unit)));
    ++p_.progress.units_handed_over;
    p_.log.Info("handed over", {UnitField(unit.job.unit), {"sequences", sequences}});
  }
  p_.progress.LetGo(unit.job.unit);
  return p_.ledger.EndClaim(unit.claimed(), LeaseEnd::kReleased, "the worker was asked to stop");
}

}  // namespace thresher
