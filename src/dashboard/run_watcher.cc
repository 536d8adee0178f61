#include "dashboard/run_watcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace thresher {

RunWatcher::RunWatcher(std::unique_ptr<Store> store, Clock& clock, Options options)
    : store_(std::move(store)),
      clock_(clock),
      options_(options),
      view_(std::make_shared<RunView>()),
      sparks_(std::make_shared<std::map<std::string, std::vector<float>>>()),
      looker_([this] { LookAgainAndAgain(); }),
      watchdog_([this] { NoticeSilence(); }) {}

RunWatcher::~RunWatcher() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
  looker_.join();
  watchdog_.join();
}

std::shared_ptr<const RunView> RunWatcher::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

std::shared_ptr<const RunView> RunWatcher::WaitForOther(int64_t version, int64_t limit_ms) const {
  std::unique_lock lock(mutex_);
  const bool is_other = changed_.wait_for(lock, std::chrono::milliseconds(limit_ms),
                                          [&] { return is_over_ || view_->version != version; });
  return is_other && view_->version != version ? view_ : nullptr;
}

void RunWatcher::LookAgainAndAgain() {
  // Looking takes no more than a quarter of the time.
  constexpr int64_t kRestForEachLook = 3;
  RunReader reader(*store_);
  std::unique_lock lock(mutex_);
  while (!is_over_) {
    const int64_t began_ms = clock_.MonotonicMs();
    look_began_ms_ = began_ms;
    lock.unlock();
    Result<RunStatus> status = reader.Read({.lease_ttl_ms = options_.lease_ttl_ms,
                                            .read_sequence_lengths = true,
                                            .now_unix_ms = clock_.UnixMs()});
    if (status.ok()) {
      PublishStatus(*std::move(status));
    } else {
      PublishError(status.status());
    }
    lock.lock();
    look_began_ms_ = -1;
    const int64_t took_ms = clock_.MonotonicMs() - began_ms;
    const int64_t pause_ms = std::max(options_.interval_ms, kRestForEachLook * took_ms);
    changed_.wait_for(lock, std::chrono::milliseconds(std::min<int64_t>(pause_ms, 60'000)),
                      [&] { return is_over_; });
  }
}

// A store that neither answers nor fails.
void RunWatcher::NoticeSilence() {
  constexpr auto kStep = std::chrono::milliseconds(500);
  std::unique_lock lock(mutex_);
  while (!is_over_) {
    changed_.wait_for(lock, kStep, [&] { return is_over_; });
    if (is_over_ || look_began_ms_ < 0 || failing_since_ms_ >= 0) continue;
    const int64_t waited_ms = clock_.MonotonicMs() - look_began_ms_;
    if (waited_ms < options_.patience_ms) continue;
    failing_since_ms_ = look_began_ms_;
    auto view = std::make_shared<RunView>();
    view->error = "no answer to a request";
    view->status = view_->status;
    view->alerts.push_back(StoreUnreachable(view->error, waited_ms));
    events_.Observe(view->alerts, clock_.UnixMs());
    Publish(std::move(view));
  }
}

void RunWatcher::Remember(const RunStatus& status) {
  speeds_.push_back({clock_.UnixMs(), status.tokens_per_second, status.bytes_per_second});
  if (speeds_.size() > RunView::kSpeedPoints) {
    // Every second point of the older half goes.
    std::deque<SpeedPoint> kept;
    for (size_t i = 0; i < speeds_.size(); ++i) {
      if (i % 2 == 0 || i > speeds_.size() / 2) kept.push_back(speeds_[i]);
    }
    speeds_ = std::move(kept);
  }
  auto sparks = std::make_shared<std::map<std::string, std::vector<float>>>();
  for (const WorkerStatus& worker : status.workers) {
    if (!worker.is_alive()) continue;
    const auto before = sparks_->find(worker.heartbeat.session);
    std::vector<float> values;
    if (before != sparks_->end()) values = before->second;
    const bool is_running = worker.state == WorkerState::kRunning;
    values.push_back(is_running ? static_cast<float>(worker.heartbeat.recent_tokens_per_second)
                                : 0.0F);
    if (values.size() > RunView::kSparkPoints) values.erase(values.begin());
    sparks->emplace(worker.heartbeat.session, std::move(values));
  }
  sparks_ = std::move(sparks);
}

void RunWatcher::PublishStatus(RunStatus status) {
  auto view = std::make_shared<RunView>();
  view->alerts = FindAlerts(status, options_.alerts);
  view->status = std::make_shared<RunStatus>(std::move(status));
  const std::lock_guard lock(mutex_);
  failing_since_ms_ = -1;
  read_unix_ms_ = clock_.UnixMs();
  Remember(*view->status);
  events_.Observe(*view->status, view->alerts, read_unix_ms_);
  Publish(std::move(view));
}

void RunWatcher::PublishError(const Status& error) {
  auto view = std::make_shared<RunView>();
  view->error = error.message();
  const std::lock_guard lock(mutex_);
  view->status = view_->status;
  view->is_missing = error.code() == Code::kNotFound && !view->status;
  const int64_t now_ms = clock_.MonotonicMs();
  if (failing_since_ms_ < 0) failing_since_ms_ = look_began_ms_ >= 0 ? look_began_ms_ : now_ms;
  if (!view->is_missing) {
    view->alerts.push_back(StoreUnreachable(view->error, now_ms - failing_since_ms_));
  }
  events_.Observe(view->alerts, clock_.UnixMs());
  Publish(std::move(view));
}

void RunWatcher::Publish(std::shared_ptr<RunView> view) {
  view->version = view_->version + 1;
  view->unix_ms = clock_.UnixMs();
  view->read_unix_ms = read_unix_ms_;
  view->events.assign(events_.events().begin(), events_.events().end());
  view->speeds.assign(speeds_.begin(), speeds_.end());
  view->sparks = sparks_;
  view_ = std::move(view);
  changed_.notify_all();
}

}  // namespace thresher
