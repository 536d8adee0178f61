#include "launch/restarts.h"

#include <algorithm>

namespace thresher {
namespace {

// Exit statuses of `thresher extract` (docs/operating.md).
constexpr int kComplete = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kCompleteWithExceptions = 3;
constexpr int kStoppedEarly = 75;

}  // namespace

std::optional<int64_t> Restarts::PauseAfterEnd(int64_t index, int status, int64_t ran_ms) {
  if (status == kComplete || status == kCompleteWithExceptions) {
    completed_ = status;
    return std::nullopt;
  }
  if (status == kWrongUsage) {
    failed_ = failed_.value_or(kWrongUsage);
    return std::nullopt;
  }
  if (!ShouldStart()) return std::nullopt;
  Worker& worker = workers_[static_cast<size_t>(index)];
  if (ran_ms >= options_.forgiven_after_ms) worker.restarts = 0;
  if (worker.restarts >= options_.max_restarts) {
    failed_ = failed_.value_or(kFailed);
    return std::nullopt;
  }
  int64_t pause_ms = options_.first_pause_ms;
  for (int64_t i = 0; i < worker.restarts && pause_ms < options_.longest_pause_ms; ++i) {
    pause_ms *= 2;
  }
  ++worker.restarts;
  return std::min(pause_ms, options_.longest_pause_ms);
}

int Restarts::ExitStatus() const {
  if (completed_) return *completed_;
  if (is_stopped_) return kStoppedEarly;
  return failed_.value_or(kFailed);
}

}  // namespace thresher
