#include "doctor/cleaning.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/random.h"
#include "doctor/temporary_files.h"
#include "extract/run_store.h"
#include "store/contract.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr int64_t kConnections = 16;
constexpr std::string_view kProbePrefix = "clean-probe-";

// A shard that lies in the run's folder, and what its name tells.
struct StoredShard {
  ObjectInfo object;
  ShardName name;
};

// One look at one run.
class Cleaning {
 public:
  Cleaning(Store& store, const Run& run, const CleanOptions& options)
      : store_(store), run_(run), options_(options) {}

  Result<CleanReport> LookAround();

 private:
  // Whether something may go, and why (not).
  struct Judgement {
    bool is_in_use = false;  // the commit refers to it
    bool is_leftover = false;
    bool unit_is_open = false;
    std::string why;
  };

  Status ReadStoreTime();
  bool IsOld(int64_t modified_ms) const {
    return store_now_ms_ - modified_ms > options_.older_than_ms;
  }
  Status CleanShards();
  void CleanShard(const StoredShard& shard);
  Judgement Judge(const StoredShard& shard);
  Judgement JudgeByCommit(const StoredShard& shard);
  std::string ObjectionOfMaker(const StoredShard& shard);
  bool HasStopped(const std::string& heartbeat_key);
  void CheckNotCommitted(const StoredShard& shard);
  Status CleanHandovers();
  Status CleanHeartbeats();
  Status CleanProbes();
  void CleanTemporaryFiles();
  // Removes the object if that is asked for, and reports it.
  bool Handle(Leftover leftover, const std::function<Status()>& remove);
  bool HandleObject(Leftover leftover) {
    const std::string key = leftover.key;
    return Handle(std::move(leftover), [&] { return store_.Delete(key); });
  }
  void AddProblem(std::string problem) {
    std::lock_guard lock(mutex_);
    report_.problems.push_back(std::move(problem));
  }

  Store& store_;
  const Run& run_;
  const CleanOptions& options_;
  int64_t store_now_ms_ = 0;
  std::set<int64_t> committed_;
  std::mutex mutex_;
  CleanReport report_;  // guarded by mutex_ while shards are looked at
};

// Before anything is listed, so that every age is at least what it seems. Who may not write sees
// the newest timestamp instead: then ages seem smaller than they are.
Status Cleaning::ReadStoreTime() {
  const std::string key = std::string(kProbePrefix) + RandomSessionId();
  if (store_.Put(key, AsBytes("time")).ok()) {
    const Result<ObjectInfo> info = store_.Stat(key);
    if (const Status deleted = store_.Delete(key); !deleted.ok()) {
      AddProblem(fmt::format("{}, written to learn the store's time, could not be removed: {}", key,
                             deleted.message()));
    }
    if (!info.ok()) return info.status();
    store_now_ms_ = info->modified_ms;
    return OkStatus();
  }
  for (const std::string_view prefix : {kWorkersPrefix, kCommitsPrefix, kLeasesPrefix}) {
    ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, prefix));
    for (const ObjectInfo& object : objects) {
      store_now_ms_ = std::max(store_now_ms_, object.modified_ms);
    }
  }
  return OkStatus();
}

bool Cleaning::Handle(Leftover leftover, const std::function<Status()>& remove) {
  if (options_.remove) {
    if (const Status removed = remove(); !removed.ok()) {
      AddProblem(fmt::format("{} could not be removed: {}", leftover.key, removed.message()));
      return false;
    }
  }
  std::lock_guard lock(mutex_);
  report_.leftovers.push_back(std::move(leftover));
  return true;
}

// --- shards ---

Status Cleaning::CleanShards() {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, "tpu_"));
  std::map<int64_t, int64_t> shards_of_unit;
  std::vector<StoredShard> shards;
  for (const ObjectInfo& object : objects) {
    std::optional<ShardName> name = ParseShardKey(object.key);
    if (!name || name->unit >= run_.plan.unit_count()) continue;
    ++shards_of_unit[name->unit];
    shards.push_back({object, *std::move(name)});
  }
  // The only shard of a committed unit is the one that its commit refers to, or all there is left
  // of it. So a tidy run costs no request for each unit.
  std::erase_if(shards, [&](const StoredShard& shard) {
    return shards_of_unit[shard.name.unit] == 1 && committed_.contains(shard.name.unit);
  });
  return ForEach(kConnections, static_cast<int64_t>(shards.size()), [&](int64_t i) {
    CleanShard(shards[static_cast<size_t>(i)]);
    return OkStatus();
  });
}

void Cleaning::CleanShard(const StoredShard& shard) {
  const Judgement judgement = Judge(shard);
  if (judgement.is_in_use) return;
  Leftover leftover{LeftoverKind::kShard, shard.object.key, shard.object.bytes,
                    shard.object.modified_ms, judgement.why};
  if (!judgement.is_leftover) {
    std::lock_guard lock(mutex_);
    report_.kept.push_back(std::move(leftover));
    return;
  }
  const bool removed = HandleObject(std::move(leftover)) && options_.remove;
  if (removed && judgement.unit_is_open) CheckNotCommitted(shard);
}

// Asks the store for everything again, since what was listed may be old; for the commit last.
Cleaning::Judgement Cleaning::Judge(const StoredShard& shard) {
  Judgement by_commit = JudgeByCommit(shard);
  if (by_commit.is_in_use) return by_commit;
  if (!IsOld(shard.object.modified_ms)) return {.why = "it is too young"};
  if (!by_commit.unit_is_open) return by_commit;
  const std::string objection = ObjectionOfMaker(shard);
  return objection.empty() ? JudgeByCommit(shard) : Judgement{.why = objection};
}

Cleaning::Judgement Cleaning::JudgeByCommit(const StoredShard& shard) {
  const Result<Commit> commit = ReadCommit(store_, shard.name.unit);
  if (commit.ok() && commit->shard == shard.object.key) return {.is_in_use = true, .why = ""};
  if (commit.ok()) {
    return {.is_leftover = true,
            .why = fmt::format("unit {} is committed with another shard", shard.name.unit)};
  }
  if (commit.status().code() != Code::kNotFound) {
    return {.why = "its unit's commit cannot be read: " + commit.status().message()};
  }
  return {.is_leftover = true,
          .unit_is_open = true,
          .why = fmt::format("unit {} is open, and session {} is gone", shard.name.unit,
                             shard.name.session)};
}

// Why the session that made the shard of an open unit might still commit it; empty if it cannot.
std::string Cleaning::ObjectionOfMaker(const StoredShard& shard) {
  const std::string heartbeat_key = HeartbeatKey(shard.name.worker_id, shard.name.session);
  const Result<ObjectInfo> heartbeat = store_.Stat(heartbeat_key);
  if (heartbeat.ok() && HasStopped(heartbeat_key)) return "";
  if (!heartbeat.ok() && heartbeat.status().code() != Code::kNotFound) {
    return "its worker's heartbeat cannot be read";
  }
  if (heartbeat.ok() && !IsOld(heartbeat->modified_ms)) {
    return "its unit is open, and its worker may be alive";
  }
  const Result<std::vector<ObjectInfo>> claims = ListAll(store_, LeasePrefix(shard.name.unit));
  if (!claims.ok()) return "the unit's claims cannot be read";
  for (const ObjectInfo& claim : *claims) {
    if (!IsOld(claim.modified_ms)) return "its unit is open, and was claimed lately";
  }
  const Result<ObjectInfo> now = store_.Stat(shard.object.key);
  if (!now.ok() || !IsOld(now->modified_ms)) return "it was written again lately";
  return "";
}

bool Cleaning::HasStopped(const std::string& heartbeat_key) {
  const Result<std::string> text = store_.GetText(heartbeat_key);
  if (!text.ok()) return false;
  const Result<Heartbeat> heartbeat = Heartbeat::FromText(*text, heartbeat_key);
  return heartbeat.ok() && heartbeat->state == "stopped";
}

// After the shard of an open unit was removed: did its maker wake up and commit it all the same?
void Cleaning::CheckNotCommitted(const StoredShard& shard) {
  if (!JudgeByCommit(shard).is_in_use) return;
  const Status reopened = ReopenUnit(store_, run_, shard.name.unit);
  AddProblem(fmt::format(
      "unit {} was committed by session {}, which had been silent, at the moment when its shard "
      "was removed; {}",
      shard.name.unit, shard.name.session,
      reopened.ok() ? "the unit is open again: start a worker"
                    : "open it with thresher clean --reopen: " + reopened.message()));
}

// --- the rest ---

Status Cleaning::CleanHandovers() {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kHandoversPrefix));
  for (const ObjectInfo& object : objects) {
    const std::optional<HandoverName> name = ParseHandoverKey(object.key);
    if (!name || !committed_.contains(name->unit) || !IsOld(object.modified_ms)) continue;
    if (!store_.Stat(CommitKey(name->unit)).ok()) continue;
    HandleObject({LeftoverKind::kHandover, object.key, object.bytes, object.modified_ms,
                  fmt::format("unit {} is committed", name->unit)});
  }
  return OkStatus();
}

Status Cleaning::CleanHeartbeats() {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kWorkersPrefix));
  for (const ObjectInfo& object : objects) {
    if (!ParseHeartbeatKey(object.key) || !IsOld(object.modified_ms)) continue;
    const Result<ObjectInfo> now = store_.Stat(object.key);
    if (!now.ok() || !IsOld(now->modified_ms)) continue;
    HandleObject({LeftoverKind::kHeartbeat, object.key, object.bytes, object.modified_ms,
                  "its session is long gone"});
  }
  return OkStatus();
}

// Of cleanings that were killed, or might not delete.
Status Cleaning::CleanProbes() {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kProbePrefix));
  for (const ObjectInfo& object : objects) {
    if (object.key.find('/') != object.key.npos || !IsOld(object.modified_ms)) continue;
    HandleObject({LeftoverKind::kProbe, object.key, object.bytes, object.modified_ms,
                  "an earlier cleaning asked the store for its time"});
  }
  return OkStatus();
}

void Cleaning::CleanTemporaryFiles() {
  const std::string url = store_.url();
  for (Leftover& file : FindTemporaryFiles(url, store_now_ms_ - options_.older_than_ms)) {
    const Leftover copy = file;
    Handle(std::move(file), [&] { return RemoveTemporaryFile(url, copy); });
  }
}

Result<CleanReport> Cleaning::LookAround() {
  RETURN_IF_ERROR(ReadStoreTime().WithContext("asking the store for its time"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> committed,
                   ListUnits(store_, kCommitsPrefix, run_.plan.unit_count()));
  committed_.insert(committed.begin(), committed.end());
  RETURN_IF_ERROR(CleanShards());
  RETURN_IF_ERROR(CleanHandovers());
  RETURN_IF_ERROR(CleanProbes());
  // Last, since they tell whose shards may go.
  RETURN_IF_ERROR(CleanHeartbeats());
  CleanTemporaryFiles();
  const auto order = [](const Leftover& a, const Leftover& b) {
    return std::tie(a.kind, a.key) < std::tie(b.kind, b.key);
  };
  std::sort(report_.leftovers.begin(), report_.leftovers.end(), order);
  std::sort(report_.kept.begin(), report_.kept.end(), order);
  return std::move(report_);
}

}  // namespace

std::string_view LeftoverKindName(LeftoverKind kind) {
  switch (kind) {
    case LeftoverKind::kShard:
      return "shard";
    case LeftoverKind::kHandover:
      return "handover";
    case LeftoverKind::kHeartbeat:
      return "heartbeat";
    case LeftoverKind::kProbe:
      return "probe";
    case LeftoverKind::kTemporary:
      return "temporary file";
  }
  return "";
}

int64_t CleanReport::bytes() const {
  int64_t bytes = 0;
  for (const Leftover& leftover : leftovers) bytes += leftover.bytes;
  return bytes;
}

Result<CleanReport> CleanRun(Store& store, const Run& run, const CleanOptions& options) {
  return Cleaning(store, run, options).LookAround();
}

}  // namespace thresher
