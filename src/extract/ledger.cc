#include "extract/ledger.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/random.h"
#include "work/keys.h"

namespace thresher {
namespace {

// Who wrote a lease. One that cannot be read is held by nobody that will ever show a sign of life:
// it runs out like others.
struct Claimant {
  std::string session;
  std::string heartbeat_key;
};

Claimant ClaimantOf(std::string_view text, const std::string& key) {
  const Result<Lease> lease = Lease::FromText(text, key);
  if (!lease.ok()) return {"unreadable " + key, ""};
  return {lease->session, HeartbeatKey(lease->worker_id, lease->session)};
}

std::vector<FailureReport> ReportsAmong(const std::vector<ObjectInfo>& objects) {
  std::vector<FailureReport> reports;
  for (const ObjectInfo& object : objects) {
    if (const auto report = ParseFailureReportKey(object.key)) reports.push_back(*report);
  }
  return reports;
}

}  // namespace

Ledger::Ledger(Store& store, Clock& clock, const Run& run, Options options)
    : store_(store),
      clock_(clock),
      run_(run),
      options_(std::move(options)),
      board_({.unit_count = run.plan.unit_count(),
              .stream = options_.worker_id,
              .stream_count = options_.worker_count,
              .lease_ttl_ms = options_.lease_ttl_ms,
              .seed = SeedOf(options_.session)}),
      pause_(options_.idle_poll_ms, options_.lease_ttl_ms / 8, options_.session) {}

Status Ledger::Beat(const Heartbeat& heartbeat) {
  RETURN_IF_ERROR(
      store_.Put(HeartbeatKey(options_.worker_id, options_.session), AsBytes(heartbeat.ToText())));
  last_beat_monotonic_ms_ = clock_.MonotonicMs();
  return OkStatus();
}

int64_t Ledger::MillisecondsSinceBeat() const {
  return clock_.MonotonicMs() - last_beat_monotonic_ms_;
}

Result<Ledger::Step> Ledger::Next() {
  RETURN_IF_ERROR(SettleOwnEvents());
  bool refreshed = false;
  constexpr int kMaxActions = 64;
  for (int action = 0; action < kMaxActions; ++action) {
    const UnitBoard::Choice choice = board_.Next({.now_ms = clock_.MonotonicMs(),
                                                  .store_now_ms = store_now_ms_,
                                                  .backup_after_ms = BackupAfterMs()});
    switch (choice.action) {
      case UnitBoard::Action::kDone:
        return Step{.kind = Step::Kind::kDone};
      case UnitBoard::Action::kWait:
        if (refreshed) return Step{.kind = Step::Kind::kWait, .wait_ms = pause_.NextMs()};
        refreshed = true;
        RETURN_IF_ERROR(RefreshWhileIdle());
        break;
      case UnitBoard::Action::kReadIndex:
        RETURN_IF_ERROR(ReadIndex());
        break;
      case UnitBoard::Action::kReadReports:
        RETURN_IF_ERROR(ReadReports());
        break;
      case UnitBoard::Action::kLook:
        RETURN_IF_ERROR(Look(choice.block));
        break;
      case UnitBoard::Action::kMark: {
        const std::string key =
            BlockMarkKey(choice.block, board_.UnitsOf(choice.block).count, choice.mark);
        // A hint: if it cannot be written now, somebody else will.
        (void)store_.CreateIfAbsent(key, AsBytes("{}\n"));
        break;
      }
      case UnitBoard::Action::kForget:
        (void)store_.Delete(FailureReportKey(choice.unit, choice.epoch));
        break;
      case UnitBoard::Action::kExamine:
        RETURN_IF_ERROR(Examine(choice));
        break;
      case UnitBoard::Action::kQuarantine:
        RETURN_IF_ERROR(SetAside(choice.unit));
        break;
      case UnitBoard::Action::kClaim: {
        ASSIGN_OR_RETURN(const bool ours, TryClaim(choice.unit, choice.epoch));
        if (!ours) break;
        pause_.Reset();
        return Step{.kind = Step::Kind::kClaimed, .claimed = {choice.unit, choice.epoch}};
      }
    }
  }
  return Step{.kind = Step::Kind::kWait, .wait_ms = 0};
}

Status Ledger::RefreshWhileIdle() {
  // In a run of one block a look tells as much.
  if (BlockCount(board_.unit_count()) > 1) RETURN_IF_ERROR(ReadIndex());
  RETURN_IF_ERROR(ReadStoreTime());
  const int64_t finished_before = board_.finished_count();
  if (const std::optional<int64_t> block = board_.BlockToRecheck()) {
    RETURN_IF_ERROR(Look(*block));
  }
  if (board_.finished_count() > finished_before) pause_.Reset();
  return OkStatus();
}

Status Ledger::ReadIndex() {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kIndexPrefix));
  std::vector<BlockMarkName> marks;
  for (const ObjectInfo& object : objects) {
    if (const auto mark = ParseBlockMarkKey(object.key)) marks.push_back(*mark);
  }
  board_.ObserveIndex(marks, clock_.MonotonicMs());
  board_.ObserveReports(ReportsAmong(objects), clock_.MonotonicMs());
  return OkStatus();
}

Status Ledger::ReadReports() {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kFailureReportsPrefix));
  board_.ObserveReports(ReportsAmong(objects), clock_.MonotonicMs());
  return OkStatus();
}

Status Ledger::ReadStoreTime() {
  const Result<ObjectInfo> own = store_.Stat(HeartbeatKey(options_.worker_id, options_.session));
  if (!own.ok()) return own.status().code() == Code::kNotFound ? OkStatus() : own.status();
  store_now_ms_ = own->modified_ms;
  store_time_read_ms_ = clock_.MonotonicMs();
  return OkStatus();
}

// The leases first: a unit that is claimed and committed in between is then seen as committed.
Status Ledger::Look(int64_t block) {
  BlockListing listing;
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> leases,
                   ListAll(store_, std::string(kLeasesPrefix) + BlockPrefix(block)));
  for (const ObjectInfo& object : leases) {
    if (const auto name = ParseLeaseKey(object.key)) {
      listing.leases.push_back({*name, object.modified_ms});
    }
  }
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> commits,
                   ListAll(store_, std::string(kCommitsPrefix) + BlockPrefix(block)));
  for (const ObjectInfo& object : commits) {
    if (const auto unit = UnitOfRecordKey(object.key, kCommitsPrefix)) {
      listing.committed.push_back(*unit);
    }
  }
  board_.ObserveBlock(block, listing, clock_.MonotonicMs());
  return OkStatus();
}

Status Ledger::Examine(const UnitBoard::Choice& choice) {
  // A worker that is not idle has not asked lately.
  if (clock_.MonotonicMs() - store_time_read_ms_ >= board_.SilenceMs()) {
    RETURN_IF_ERROR(ReadStoreTime());
  }
  const std::string key = LeaseKey(choice.unit, choice.epoch);
  const Result<std::string> text = store_.GetText(key);
  if (!text.ok() && text.status().code() != Code::kNotFound) {
    return text.status().WithContext(key);
  }
  const Claimant claimant = ClaimantOf(text.ok() ? *text : "", key);
  // A claim is a sign of life too: it covers a heartbeat that was lost.
  int64_t seen_ms = choice.written_ms;
  if (!claimant.heartbeat_key.empty()) {
    const Result<ObjectInfo> heartbeat = store_.Stat(claimant.heartbeat_key);
    if (!heartbeat.ok() && heartbeat.status().code() != Code::kNotFound) {
      return heartbeat.status().WithContext(claimant.heartbeat_key);
    }
    if (heartbeat.ok()) seen_ms = std::max(seen_ms, heartbeat->modified_ms);
  }
  board_.ObserveHolder(choice.unit, StateOf(claimant.session, seen_ms), clock_.MonotonicMs());
  return OkStatus();
}

// By the store's timestamps; and since those may lie in the future (a clock was set back), also by
// how long a timestamp has stood still before our own eyes.
Holder Ledger::StateOf(const std::string& session, int64_t seen_ms) {
  const int64_t now_ms = clock_.MonotonicMs();
  LastSeen& last = last_seen_[session];
  if (last.stamp_ms != seen_ms) last = {seen_ms, now_ms};
  const int64_t silent_ms = std::max(store_now_ms_ - seen_ms, now_ms - last.since_ms);
  if (silent_ms > options_.lease_ttl_ms) return Holder::kGone;
  return silent_ms > board_.SilenceMs() ? Holder::kSilent : Holder::kAlive;
}

// True if the claim is ours and there is work to do; false if it was someone else's, or if the unit
// turned out to be committed. Either way the board knows more than before.
Result<bool> Ledger::TryClaim(int64_t unit, int64_t epoch) {
  const Lease lease{unit, epoch, options_.worker_id, options_.session};
  ASSIGN_OR_RETURN(const CreatedRecord created,
                   CreateRecord(store_, LeaseKey(unit, epoch), lease.ToText()));
  if (created.creation == Creation::kSomeoneElses) {
    board_.ObserveClaim(unit, epoch, clock_.MonotonicMs());
    return false;
  }
  board_.ObserveOwnClaim(unit, epoch, clock_.MonotonicMs());
  if (const std::optional<int64_t> reported = board_.TakeReport(unit)) {
    (void)store_.Delete(FailureReportKey(unit, *reported));
  }
  // What is known may be old: a unit that others have claimed before may be committed by now. If
  // the store cannot say, go on: the commit decides.
  if (epoch > 1 && store_.Stat(CommitKey(unit)).ok()) {
    board_.MarkFinished(unit);
    return false;
  }
  std::lock_guard lock(own_mutex_);
  claimed_at_ms_[unit] = clock_.MonotonicMs();
  return true;
}

Status Ledger::SetAside(int64_t unit) {
  const SampleRange samples = run_.plan.Samples(unit);
  Quarantine quarantine{
      .unit = unit, .first_sample = samples.first, .sample_count = samples.count, .errors = {}};
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, LeasePrefix(unit)));
  int64_t claims = 0;
  for (const ObjectInfo& object : objects) {
    const std::optional<LeaseName> name = ParseLeaseKey(object.key);
    if (!name) continue;
    if (!name->end) ++claims;
    if (name->end != LeaseEnd::kFailed) continue;
    ASSIGN_OR_RETURN(const std::string text, store_.GetText(object.key));
    const Result<LeaseEndRecord> end = LeaseEndRecord::FromText(text, object.key);
    quarantine.errors.push_back(
        "claim " + std::to_string(name->epoch) + ", " +
        (end.ok() ? "session " + end->session + ": " + end->reason : end.status().message()));
  }
  quarantine.errors.push_back(std::to_string(claims) + " claims in all ended without a commit");
  RETURN_IF_ERROR(CreateRecord(store_, QuarantineKey(unit), quarantine.ToText()).status());
  board_.MarkFinished(unit);
  return OkStatus();
}

Result<Ledger::CommitOutcome> Ledger::CommitUnit(const Commit& commit) {
  const std::string key = CommitKey(commit.unit);
  ASSIGN_OR_RETURN(const CreatedRecord created, CreateRecord(store_, key, commit.ToText()));
  Add({.claimed = {commit.unit, commit.epoch}, .finished = true});
  if (created.creation == Creation::kOurs) return CommitOutcome::kCommitted;
  ASSIGN_OR_RETURN(const Commit winner, Commit::FromText(created.existing, key));
  return winner.shard == commit.shard ? CommitOutcome::kCommitted : CommitOutcome::kDuplicate;
}

Status Ledger::EndClaim(const Claimed& claimed, LeaseEnd end, const std::string& reason) {
  OwnEvent event{
      .claimed = claimed, .end = end, .text = LeaseEndRecord{options_.session, reason}.ToText()};
  Status status = RecordEnd(event);
  event.recorded = status.ok();
  Add(std::move(event));
  return status;
}

Status Ledger::RecordEnd(const OwnEvent& ended) {
  const auto& [unit, epoch] = ended.claimed;
  RETURN_IF_ERROR(CreateRecord(store_, LeaseEndKey(unit, epoch, ended.end), ended.text).status());
  if (ended.end == LeaseEnd::kFailed && board_.NeedsReports()) {
    // A hint: without it the unit waits for a worker that comes to its block.
    (void)store_.CreateIfAbsent(FailureReportKey(unit, epoch), AsBytes("{}\n"));
  }
  return OkStatus();
}

void Ledger::Add(OwnEvent event) {
  std::lock_guard lock(own_mutex_);
  const auto claimed_at = claimed_at_ms_.find(event.claimed.unit);
  if (claimed_at != claimed_at_ms_.end()) {
    const int64_t took_ms = clock_.MonotonicMs() - claimed_at->second;
    if (event.finished) unit_ms_ = unit_ms_ ? (3 * *unit_ms_ + took_ms) / 4 : took_ms;
    claimed_at_ms_.erase(claimed_at);
  }
  own_events_.push_back(std::move(event));
}

// Tells the board what became of our claims, and the store of ends that it has not heard of: a
// claim whose end is not recorded would be held for as long as this session lives.
Status Ledger::SettleOwnEvents() {
  std::vector<OwnEvent> events;
  {
    std::lock_guard lock(own_mutex_);
    events.swap(own_events_);
  }
  Status status;
  for (OwnEvent& event : events) {
    if (event.finished) {
      board_.ObserveOwnCommit(event.claimed.unit);
      continue;
    }
    if (!event.recorded) {
      if (Status again = RecordEnd(event); !again.ok()) {
        status = again;
        Add(std::move(event));
        continue;
      }
    }
    board_.ObserveOwnEnd(event.claimed.unit, event.claimed.epoch, event.end, clock_.MonotonicMs());
  }
  return status;
}

// Others are expected to be about as fast as this worker; one that has taken twice as long is slow
// or dead. A worker that has made no unit itself cannot tell.
int64_t Ledger::BackupAfterMs() const {
  std::lock_guard lock(own_mutex_);
  return unit_ms_ ? std::max(2 * *unit_ms_, options_.lease_ttl_ms / 4) : 0;
}

}  // namespace thresher
