#include "extract/ledger.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "work/keys.h"

namespace thresher {
namespace {

// Who wrote a lease. One that cannot be read is held by nobody that will ever show a sign of life:
// it runs out like others.
std::string SessionOfLease(std::string_view text, const std::string& key) {
  const Result<Lease> lease = Lease::FromText(text, key);
  return lease.ok() ? lease->session : "unreadable " + key;
}

}  // namespace

Ledger::Ledger(Store& store, Clock& clock, const Run& run, Options options)
    : store_(store),
      clock_(clock),
      run_(run),
      options_(std::move(options)),
      board_({.unit_count = run.plan.unit_count(),
              .session = options_.session,
              .stream = options_.worker_id,
              .stream_count = options_.worker_count}) {}

Status Ledger::Beat(const Heartbeat& heartbeat) {
  const std::string key = HeartbeatKey(options_.worker_id, options_.session);
  RETURN_IF_ERROR(store_.Put(key, AsBytes(heartbeat.ToText())));
  ASSIGN_OR_RETURN(const ObjectInfo info, store_.Stat(key));
  store_now_ms_ = info.modified_ms;
  last_beat_monotonic_ms_ = clock_.MonotonicMs();
  return OkStatus();
}

int64_t Ledger::MillisecondsSinceBeat() const {
  return clock_.MonotonicMs() - last_beat_monotonic_ms_;
}

Status Ledger::Refresh() {
  RETURN_IF_ERROR(SettleEndedClaims());
  const int64_t unit_count = board_.unit_count();
  ASSIGN_OR_RETURN(const std::vector<int64_t> committed,
                   ListUnits(store_, kCommitsPrefix, unit_count));
  for (const int64_t unit : committed) board_.MarkCommitted(unit);
  ASSIGN_OR_RETURN(const std::vector<int64_t> quarantined,
                   ListUnits(store_, kQuarantinePrefix, unit_count));
  for (const int64_t unit : quarantined) board_.MarkQuarantined(unit);
  RETURN_IF_ERROR(ObserveLeases());
  return ObserveSessions();
}

Status Ledger::ObserveLeases() {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kLeasesPrefix));
  std::map<int64_t, std::pair<int64_t, const ObjectInfo*>> newest;  // unit -> epoch, object
  for (const ObjectInfo& object : objects) {
    const std::optional<LeaseName> name = ParseLeaseKey(object.key);
    if (!name || name->unit >= board_.unit_count() || board_.IsFinished(name->unit)) continue;
    if (name->end) {
      board_.ObserveClaimEnd(name->unit, name->epoch, *name->end);
      continue;
    }
    board_.ObserveOlderClaim(name->unit, name->epoch);
    if (auto& entry = newest[name->unit]; name->epoch > entry.first) {
      entry = {name->epoch, &object};
    }
  }
  for (const auto& [unit, entry] : newest) {
    const auto& [epoch, object] = entry;
    auto known = session_of_lease_.find(object->key);
    if (known == session_of_lease_.end()) {
      Result<std::string> text = store_.GetText(object->key);
      if (!text.ok()) return text.status().WithContext(object->key);
      known = session_of_lease_.emplace(object->key, SessionOfLease(*text, object->key)).first;
    }
    int64_t& written_ms = lease_written_ms_[known->second];
    written_ms = std::max(written_ms, object->modified_ms);
    board_.ObserveClaim(unit, epoch, known->second);
  }
  return OkStatus();
}

Status Ledger::ObserveSessions() {
  const std::vector<std::string> holders = board_.SessionsThatHold();
  if (holders.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kWorkersPrefix));
  std::map<std::string, const ObjectInfo*> heartbeats;
  for (const ObjectInfo& object : objects) {
    if (const auto name = ParseHeartbeatKey(object.key)) heartbeats[name->session] = &object;
  }
  // Only an idle worker has the time to ask whether a silent one said good-bye.
  const bool ask_for_state = board_.Next().action == UnitBoard::Action::kWait;
  for (const std::string& session : holders) {
    const auto heartbeat = heartbeats.find(session);
    const bool has_heartbeat = heartbeat != heartbeats.end();
    // A claim is a sign of life too: it covers a heartbeat that was lost.
    const int64_t seen_ms =
        std::max(has_heartbeat ? heartbeat->second->modified_ms : 0, lease_written_ms_[session]);
    bool alive = IsFresh(session, seen_ms);
    if (alive && ask_for_state && has_heartbeat) alive = !HasStopped(heartbeat->second->key);
    board_.ObserveSession(session, alive);
  }
  return OkStatus();
}

// By the store's timestamps; and since those may lie in the future (a clock was set back), also by
// how long a timestamp has stood still before our own eyes.
bool Ledger::IsFresh(const std::string& session, int64_t seen_ms) {
  const int64_t now_ms = clock_.MonotonicMs();
  LastSeen& last = last_seen_[session];
  if (last.stamp_ms != seen_ms) last = {seen_ms, now_ms};
  return store_now_ms_ - seen_ms <= options_.lease_ttl_ms &&
         now_ms - last.since_ms <= options_.lease_ttl_ms;
}

bool Ledger::HasStopped(const std::string& heartbeat_key) {
  const Result<std::string> text = store_.GetText(heartbeat_key);
  if (!text.ok()) return false;
  const Result<Heartbeat> heartbeat = Heartbeat::FromText(*text, heartbeat_key);
  return heartbeat.ok() && heartbeat->state == "stopped";
}

Result<std::optional<Ledger::Claimed>> Ledger::ClaimNext() {
  while (true) {
    const UnitBoard::Choice choice = board_.Next();
    switch (choice.action) {
      case UnitBoard::Action::kDone:
      case UnitBoard::Action::kWait:
        return std::optional<Claimed>();
      case UnitBoard::Action::kQuarantine:
        RETURN_IF_ERROR(SetAside(choice.unit));
        break;
      case UnitBoard::Action::kClaim: {
        ASSIGN_OR_RETURN(const bool ours, TryClaim(choice.unit, choice.epoch));
        if (ours) return std::optional(Claimed{choice.unit, choice.epoch});
        break;
      }
    }
  }
}

// True if the claim is ours and there is work to do; false if it was someone else's, or if the unit
// turned out to be committed. Either way the board knows more than before.
Result<bool> Ledger::TryClaim(int64_t unit, int64_t epoch) {
  const std::string key = LeaseKey(unit, epoch);
  const Lease lease{unit, epoch, options_.worker_id, options_.session};
  ASSIGN_OR_RETURN(const CreatedRecord created, CreateRecord(store_, key, lease.ToText()));
  if (created.creation == Creation::kSomeoneElses) {
    const std::string winner = SessionOfLease(created.existing, key);
    session_of_lease_[key] = winner;
    // Its age is known at the next refresh; until then it counts as alive.
    board_.ObserveSession(winner, true);
    board_.ObserveClaim(unit, epoch, winner);
    return false;
  }
  session_of_lease_[key] = options_.session;
  board_.ObserveClaim(unit, epoch, options_.session);
  // What is known may be old: the unit may have been committed in the meantime. If the store cannot
  // say, go on: the commit decides.
  if (!store_.Stat(CommitKey(unit)).ok()) return true;
  board_.MarkCommitted(unit);
  return false;
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
    ASSIGN_OR_RETURN(const LeaseEndRecord end, LeaseEndRecord::FromText(text, object.key));
    quarantine.errors.push_back("claim " + std::to_string(name->epoch) + ", session " +
                                end.session + ": " + end.reason);
  }
  quarantine.errors.push_back(std::to_string(claims) + " claims in all ended without a commit");
  RETURN_IF_ERROR(CreateRecord(store_, QuarantineKey(unit), quarantine.ToText()).status());
  board_.MarkQuarantined(unit);
  return OkStatus();
}

Result<Ledger::CommitOutcome> Ledger::CommitUnit(const Commit& commit) {
  const std::string key = CommitKey(commit.unit);
  ASSIGN_OR_RETURN(const CreatedRecord created, CreateRecord(store_, key, commit.ToText()));
  if (created.creation == Creation::kOurs) return CommitOutcome::kCommitted;
  ASSIGN_OR_RETURN(const Commit winner, Commit::FromText(created.existing, key));
  return winner.shard == commit.shard ? CommitOutcome::kCommitted : CommitOutcome::kDuplicate;
}

Status Ledger::EndClaim(const Claimed& claimed, LeaseEnd end, const std::string& reason) {
  EndedClaim ended{claimed, end, LeaseEndRecord{options_.session, reason}.ToText()};
  Status status = RecordEnd(ended);
  std::lock_guard lock(ended_mutex_);
  ended_.emplace_back(std::move(ended), status.ok());
  return status;
}

Status Ledger::RecordEnd(const EndedClaim& ended) {
  return CreateRecord(store_, LeaseEndKey(ended.claimed.unit, ended.claimed.epoch, ended.end),
                      ended.text)
      .status();
}

// Tells the board of claims that ended, and the store of those that it has not heard of: a claim
// whose end is not recorded would be held for as long as this session lives.
Status Ledger::SettleEndedClaims() {
  std::vector<std::pair<EndedClaim, bool>> ended;
  {
    std::lock_guard lock(ended_mutex_);
    ended.swap(ended_);
  }
  Status status;
  for (auto& [claim, recorded] : ended) {
    if (!recorded) {
      if (Status again = RecordEnd(claim); !again.ok()) {
        status = again;
        std::lock_guard lock(ended_mutex_);
        ended_.emplace_back(std::move(claim), false);
        continue;
      }
    }
    board_.ObserveClaimEnd(claim.claimed.unit, claim.claimed.epoch, claim.end);
  }
  return status;
}

}  // namespace thresher
