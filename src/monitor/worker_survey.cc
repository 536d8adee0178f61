#include "monitor/worker_survey.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/cpu/parallel.h"
#include "extract/worker.h"
#include "work/keys.h"

namespace thresher {
namespace {

// The time goes into waiting for the store, not into computing.
constexpr int kReaders = 32;
constexpr int64_t kShortestSilenceMs = 3'000;

}  // namespace

WorkerState StateOfWorker(const Heartbeat& heartbeat, int64_t age_ms, int64_t lease_ttl_ms,
                          bool is_replaced, bool run_is_finished) {
  constexpr int64_t kEndingMs = 60'000;
  if (heartbeat.state != "running") return WorkerState::kStopped;
  if (lease_ttl_ms == 0) lease_ttl_ms = heartbeat.lease_ttl_ms;
  if (lease_ttl_ms == 0) lease_ttl_ms = kUsualLeaseTtlMs;
  const int64_t beat_ms =
      heartbeat.beat_interval_ms > 0 ? heartbeat.beat_interval_ms : BeatIntervalMs(lease_ttl_ms);
  const int64_t silent_after_ms =
      std::min(std::max(3 * beat_ms, kShortestSilenceMs), lease_ttl_ms / 2);
  // Nobody works in a finished run: who says so has died since, or is about to say that it has
  // stopped.
  if (run_is_finished && age_ms <= std::min(kEndingMs, lease_ttl_ms)) return WorkerState::kEnding;
  if (run_is_finished) return is_replaced ? WorkerState::kReplaced : WorkerState::kLost;
  if (age_ms <= silent_after_ms) return WorkerState::kRunning;
  if (is_replaced) return WorkerState::kReplaced;
  return age_ms <= lease_ttl_ms ? WorkerState::kSilent : WorkerState::kLost;
}

Status WorkerSurvey::Look(Store& store, int64_t now_unix_ms) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, kWorkersPrefix));
  std::map<std::string, Known> now_known;
  std::vector<std::pair<const std::string, Known>*> changed;
  bool saw_a_fresh_one = false;
  for (const ObjectInfo& object : objects) {
    newest_ms_ = std::max(newest_ms_, object.modified_ms);
    if (!ParseHeartbeatKey(object.key)) continue;
    const auto before = known_.find(object.key);
    const auto [entry, added] = now_known.emplace(object.key, Known{object.modified_ms, {}, {}});
    if (before != known_.end() && before->second.modified_ms == object.modified_ms) {
      entry->second = before->second;
    } else {
      changed.push_back(&*entry);
      saw_a_fresh_one = saw_a_fresh_one || has_looked_;
    }
  }
  RETURN_IF_ERROR(
      ParallelFor(kReaders, static_cast<int64_t>(changed.size()), [&](int64_t index, int) {
        auto& [key, known] = *changed[static_cast<size_t>(index)];
        const Result<std::string> text = store.GetText(key);
        Result<Heartbeat> heartbeat =
            text.ok() ? Heartbeat::FromText(*text, key) : Result<Heartbeat>(text.status());
        if (heartbeat.ok()) {
          known.heartbeat = *std::move(heartbeat);
        } else {
          known.error = heartbeat.status().message();
          known.modified_ms = -1;  // to be read again
        }
      }));
  // Written since the last look, so the store's clock had just shown that time.
  if (saw_a_fresh_one) {
    const int64_t ahead_ms = newest_ms_ - now_unix_ms;
    store_ahead_ms_ = std::max(store_ahead_ms_.value_or(ahead_ms), ahead_ms);
  }
  known_ = std::move(now_known);
  has_looked_ = true;
  return OkStatus();
}

int64_t WorkerSurvey::StoreNowMs(int64_t now_unix_ms) const {
  return std::max(newest_ms_, now_unix_ms + store_ahead_ms_.value_or(0));
}

void WorkerSurvey::Describe(int64_t lease_ttl_ms, RunStatus& status) const {
  for (const auto& [key, known] : known_) {
    if (!known.heartbeat) {
      status.unreadable.push_back(known.error);
      continue;
    }
    WorkerStatus worker{.heartbeat = *known.heartbeat};
    worker.age_ms = std::max<int64_t>(0, status.now_ms - known.modified_ms);
    status.workers.push_back(std::move(worker));
  }
  std::sort(status.workers.begin(), status.workers.end(),
            [](const WorkerStatus& a, const WorkerStatus& b) {
              return std::tuple(a.heartbeat.worker_id, -a.heartbeat.started_unix_ms, a.age_ms,
                                a.heartbeat.session) < std::tuple(b.heartbeat.worker_id,
                                                                  -b.heartbeat.started_unix_ms,
                                                                  b.age_ms, b.heartbeat.session);
            });
  int64_t restarts = 0;  // of the worker that is looked at, from its oldest session on
  for (size_t i = status.workers.size(); i-- > 0;) {
    WorkerStatus& worker = status.workers[i];
    const bool is_oldest = i + 1 == status.workers.size() ||
                           status.workers[i + 1].heartbeat.worker_id != worker.heartbeat.worker_id;
    restarts = is_oldest ? 0 : restarts + 1;
    worker.restarts = restarts;
    const bool is_replaced =
        i > 0 && status.workers[i - 1].heartbeat.worker_id == worker.heartbeat.worker_id;
    const Heartbeat& beat = worker.heartbeat;
    worker.state =
        StateOfWorker(beat, worker.age_ms, lease_ttl_ms, is_replaced, status.IsFinished());
    if (worker.state == WorkerState::kRunning && !beat.units_held.empty() &&
        beat.progressed_unix_ms > 0) {
      worker.stalled_ms = std::max<int64_t>(0, beat.updated_unix_ms - beat.progressed_unix_ms);
    }
    ++status.worker_counts[static_cast<size_t>(worker.state)];
  }
}

}  // namespace thresher
