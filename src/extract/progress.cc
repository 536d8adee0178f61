#include "extract/progress.h"

#include <algorithm>

namespace thresher {

void Progress::SetLastError(const std::string& error) {
  std::lock_guard lock(mutex_);
  last_error_ = error;
}

std::string Progress::LastError() const {
  std::lock_guard lock(mutex_);
  return last_error_;
}

void Progress::Hold(int64_t unit) {
  std::lock_guard lock(mutex_);
  units_held_.push_back(unit);
}

void Progress::LetGo(int64_t unit) {
  std::lock_guard lock(mutex_);
  std::erase(units_held_, unit);
}

std::vector<int64_t> Progress::UnitsHeld() const {
  std::lock_guard lock(mutex_);
  return units_held_;
}

void Progress::Describe(Heartbeat& heartbeat) const {
  heartbeat.units_held = UnitsHeld();
  heartbeat.units_committed = units_committed;
  heartbeat.units_duplicate = units_duplicate;
  heartbeat.samples_committed = samples_committed;
  heartbeat.tokens_committed = tokens_committed;
  heartbeat.bytes_committed = bytes_committed;
  heartbeat.tokens_computed = tokens_computed;
  const int64_t elapsed_us = engine_busy_us + engine_wait_us();
  if (elapsed_us > 0) {
    heartbeat.tokens_per_second =
        1e6 * static_cast<double>(heartbeat.tokens_computed) / static_cast<double>(elapsed_us);
  }
  heartbeat.last_error = LastError();
  heartbeat.forward_tokens_committed = forward_tokens_committed;
  heartbeat.samples_rejected = samples_rejected;
  heartbeat.samples_truncated = samples_truncated;
  heartbeat.units_failed = units_failed;
  heartbeat.units_taken_over = units_taken_over;
  heartbeat.bytes_uploaded = bytes_uploaded;
  heartbeat.uploads_failed = uploads_failed;
  heartbeat.upload_failed_unix_ms = upload_failed_unix_ms;
  heartbeat.unit_failed_unix_ms = unit_failed_unix_ms;
  heartbeat.progressed_unix_ms = progressed_unix_ms;
  const auto seconds = [](int64_t us) { return static_cast<double>(us) / 1e6; };
  heartbeat.engine_seconds = seconds(engine_busy_us);
  heartbeat.wait_for_unit_seconds = seconds(engine_wait_for_unit_us);
  heartbeat.wait_for_arena_seconds = seconds(engine_wait_for_arena_us);
  heartbeat.upload_seconds = seconds(upload_us);
}

void RateMeter::Add(int64_t now_ms, int64_t count) {
  points_.push_back({now_ms, count});
  // The oldest point that is kept is the last one at or before the window's begin.
  const auto inside = std::find_if(points_.begin(), points_.end(), [&](const Point& point) {
    return point.ms > now_ms - window_ms_;
  });
  if (inside - points_.begin() > 1) points_.erase(points_.begin(), inside - 1);
}

double RateMeter::PerSecond() const {
  if (points_.size() < 2 || points_.back().ms == points_.front().ms) return 0;
  return 1000.0 * static_cast<double>(points_.back().count - points_.front().count) /
         static_cast<double>(points_.back().ms - points_.front().ms);
}

}  // namespace thresher
