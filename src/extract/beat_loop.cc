#include "extract/beat_loop.h"

#include <algorithm>
#include <chrono>

namespace thresher {

void BeatLoop::Run() {
  const Clock& clock = context_.parts.clock;
  const int64_t interval_ms = context_.options.beat_interval_ms;
  const auto poll = std::chrono::milliseconds(std::min<int64_t>(250, interval_ms));
  int64_t next_beat_ms = clock.MonotonicMs() + interval_ms;
  std::unique_lock lock(mutex_);
  while (!wakeup_.wait_for(lock, poll, [&] { return is_over_; })) {
    if (context_.parts.stop.requested() && context_.stop_seen_ms < 0) {
      context_.stop_seen_ms = clock.MonotonicMs();
    }
    context_.parts.report();
    if (clock.MonotonicMs() < next_beat_ms && !context_.TakeFailureNews()) continue;
    lock.unlock();
    BeatAndReport();
    next_beat_ms = clock.MonotonicMs() + interval_ms;
    lock.lock();
  }
}

void BeatLoop::End() {
  {
    std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wakeup_.notify_all();
}

void BeatLoop::BeatAndReport() {
  const Status status = Beat("running");
  if (status.ok()) {
    context_.beats_fail_since_ms = -1;
    return;
  }
  if (context_.beats_fail_since_ms < 0) {
    context_.beats_fail_since_ms = context_.parts.clock.MonotonicMs();
  }
  context_.parts.progress.SetLastError("heartbeat: " + status.message());
  context_.parts.log.Warning("heartbeat: " + status.message());
}

Status BeatLoop::Beat(const char* state) {
  Heartbeat heartbeat = context_.parts.heartbeat;
  heartbeat.state = state;
  heartbeat.updated_unix_ms = context_.parts.clock.UnixMs();
  context_.parts.progress.Describe(heartbeat);
  heartbeat.lease_ttl_ms = context_.parts.ledger.options().lease_ttl_ms;
  heartbeat.beat_interval_ms = context_.options.beat_interval_ms;
  const int64_t now_ms = context_.parts.clock.MonotonicMs();
  computed_.Add(now_ms, heartbeat.tokens_computed);
  uploaded_.Add(now_ms, heartbeat.bytes_uploaded);
  heartbeat.recent_tokens_per_second = computed_.PerSecond();
  heartbeat.recent_bytes_per_second = uploaded_.PerSecond();
  return context_.parts.ledger.Beat(heartbeat);
}

}  // namespace thresher
