#include "monitor/run_status.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "extract/commit_scan.h"
#include "work/keys.h"

namespace thresher {
namespace {

class StatusReader {
 public:
  StatusReader(Store& store, const RunStatusOptions& options)
      : store_(store), lease_ttl_ms_(options.lease_ttl_ms), store_now_ms_(options.now_unix_ms) {}

  Result<RunStatus> Read();

 private:
  Status ReadCommits(const Run& run);
  void AddCommit(const Commit& commit);
  Status ReadQuarantined(const Run& run);
  Status ReadLeases(const Run& run);
  Status ReadWorkers();
  void Judge();
  void SawObjectOf(int64_t modified_ms) { store_now_ms_ = std::max(store_now_ms_, modified_ms); }

  Store& store_;
  const int64_t lease_ttl_ms_;
  int64_t store_now_ms_;
  std::vector<int64_t> committed_;
  RunStatus report_;
};

Status StatusReader::ReadCommits(const Run& run) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kCommitsPrefix));
  for (const ObjectInfo& object : objects) {
    SawObjectOf(object.modified_ms);
    const std::optional<int64_t> unit = UnitOfRecordKey(object.key, kCommitsPrefix);
    if (unit && *unit < run.plan.unit_count()) committed_.push_back(*unit);
  }
  std::sort(committed_.begin(), committed_.end());
  ScanCommits(store_, committed_, [&](int64_t, const Result<Commit>& commit) {
    if (commit.ok()) {
      AddCommit(*commit);
    } else {
      report_.unreadable.push_back(commit.status().message());
    }
  });
  return OkStatus();
}

void StatusReader::AddCommit(const Commit& commit) {
  ++report_.committed_count;
  report_.samples_stored += commit.stored_sample_count();
  report_.samples_rejected += static_cast<int64_t>(commit.rejected.size());
  report_.samples_truncated += commit.truncated_count;
  report_.tokens += commit.token_count;
  report_.forward_tokens += commit.forward_token_count;
  report_.bytes += commit.bytes;
  for (const RejectedSample& sample : commit.rejected) {
    if (report_.rejected.size() < kListedRejections) report_.rejected.push_back(sample);
  }
}

Status StatusReader::ReadQuarantined(const Run& run) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> units,
                   ListUnits(store_, kQuarantinePrefix, run.plan.unit_count()));
  for (const int64_t unit : units) {
    if (std::binary_search(committed_.begin(), committed_.end(), unit)) continue;
    Result<Quarantine> quarantine = ReadQuarantine(store_, unit);
    if (quarantine.ok()) {
      report_.quarantined.push_back(*std::move(quarantine));
    } else {
      report_.unreadable.push_back(quarantine.status().message());
    }
  }
  return OkStatus();
}

Status StatusReader::ReadLeases(const Run& run) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kLeasesPrefix));
  std::map<int64_t, int64_t> newest_epoch;
  for (const ObjectInfo& object : objects) {
    SawObjectOf(object.modified_ms);
    const std::optional<LeaseName> name = ParseLeaseKey(object.key);
    if (!name || name->end || name->unit >= run.plan.unit_count()) continue;
    int64_t& epoch = newest_epoch[name->unit];
    epoch = std::max(epoch, name->epoch);
  }
  report_.lease_count = static_cast<int64_t>(newest_epoch.size());
  for (const auto& [unit, epoch] : newest_epoch) {
    if (epoch > 1) ++report_.taken_over_count;
    report_.largest_epoch = std::max(report_.largest_epoch, epoch);
  }
  return OkStatus();
}

Status StatusReader::ReadWorkers() {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store_, kWorkersPrefix));
  for (const ObjectInfo& object : objects) SawObjectOf(object.modified_ms);
  for (const ObjectInfo& object : objects) {
    if (!ParseHeartbeatKey(object.key)) continue;
    const Result<std::string> text = store_.GetText(object.key);
    Result<Heartbeat> heartbeat =
        text.ok() ? Heartbeat::FromText(*text, object.key) : Result<Heartbeat>(text.status());
    if (!heartbeat.ok()) {
      report_.unreadable.push_back(heartbeat.status().message());
      continue;
    }
    WorkerStatus worker{.heartbeat = *std::move(heartbeat)};
    worker.age_ms = store_now_ms_ - object.modified_ms;
    worker.is_alive = worker.heartbeat.state == "running" && worker.age_ms <= lease_ttl_ms_;
    report_.workers.push_back(std::move(worker));
  }
  std::sort(report_.workers.begin(), report_.workers.end(),
            [](const WorkerStatus& a, const WorkerStatus& b) {
              return std::tuple(a.heartbeat.worker_id, a.age_ms, a.heartbeat.session) <
                     std::tuple(b.heartbeat.worker_id, b.age_ms, b.heartbeat.session);
            });
  return OkStatus();
}

void StatusReader::Judge() {
  bool somebody_is_alive = false;
  for (const WorkerStatus& worker : report_.workers) {
    if (!worker.is_alive) continue;
    somebody_is_alive = true;
    report_.tokens_per_second += worker.heartbeat.tokens_per_second;
  }
  const int64_t finished =
      report_.committed_count + static_cast<int64_t>(report_.quarantined.size());
  if (finished < report_.unit_count) {
    report_.state = somebody_is_alive ? RunState::kRunning : RunState::kIncomplete;
  } else if (report_.quarantined.empty() && report_.samples_rejected == 0) {
    report_.state = RunState::kComplete;
  } else {
    report_.state = RunState::kCompleteWithExceptions;
  }
  // Units read about equally many tokens.
  if (report_.committed_count > 0 && report_.tokens_per_second > 0) {
    const double tokens_per_unit =
        static_cast<double>(report_.forward_tokens) / static_cast<double>(report_.committed_count);
    const auto left = static_cast<double>(report_.unit_count - finished);
    report_.remaining_ms =
        static_cast<int64_t>(1000 * left * tokens_per_unit / report_.tokens_per_second);
  }
}

Result<RunStatus> StatusReader::Read() {
  ASSIGN_OR_RETURN(const Run run, LoadRun(store_));
  report_.url = store_.url();
  report_.unit_count = run.plan.unit_count();
  report_.sample_count = run.plan.sample_count();
  RETURN_IF_ERROR(ReadCommits(run));
  RETURN_IF_ERROR(ReadQuarantined(run));
  RETURN_IF_ERROR(ReadLeases(run));
  RETURN_IF_ERROR(ReadWorkers());
  Judge();
  return std::move(report_);
}

}  // namespace

std::string_view RunStateName(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "running";
    case RunState::kIncomplete:
      return "incomplete";
    case RunState::kComplete:
      return "complete";
    case RunState::kCompleteWithExceptions:
      return "complete with exceptions";
  }
  return "";
}

Result<RunStatus> ReadRunStatus(Store& store, const RunStatusOptions& options) {
  return StatusReader(store, options).Read();
}

}  // namespace thresher
