#include "extract/worker_context.h"

#include <algorithm>
#include <string>

namespace thresher {

void WorkerContext::GiveUp(const Status& status) {
  {
    std::lock_guard lock(error_mutex_);
    if (error_.ok()) error_ = status;
  }
  gave_up_ = true;
}

Status WorkerContext::error() const {
  std::lock_guard lock(error_mutex_);
  return error_;
}

void WorkerContext::FailUnit(const UnitInFlight& unit, LeaseEnd end, const Status& status) {
  const int64_t number = unit.job.unit;
  parts.progress.LetGo(number);
  const Status ended = parts.ledger.EndClaim(unit.claimed(), end, status.message());
  if (!ended.ok()) {
    parts.log.Warning("ending the claim: " + ended.message(), {UnitField(number)});
  }
  if (status.code() == Code::kCancelled) return;
  ++parts.progress.units_failed;
  if (end == LeaseEnd::kFailed) parts.progress.unit_failed_unix_ms = parts.clock.UnixMs();
  parts.progress.SetLastError(status.message());
  parts.log.Warning(UnitName(number) + " failed: " + status.message(), {UnitField(number)});
  has_failure_news_ = true;
  ++units_ended_;
  const int64_t failures = ++consecutive_failures_;
  if (failures < options.max_consecutive_failures) return;
  GiveUp(status.WithContext("giving up after " + std::to_string(failures) +
                            " failed units in a row (--max-failures-in-a-row); the last"));
}

void WorkerContext::EndUnit(bool is_committed) {
  ++units_ended_;
  if (is_committed) consecutive_failures_ = 0;
}

void WorkerContext::SleepUnlessStopping(int64_t duration_ms) const {
  SleepWhile(duration_ms, [] { return true; });
}

void WorkerContext::SleepWhile(int64_t duration_ms, const std::function<bool()>& condition) const {
  constexpr int64_t kStepMs = 50;
  for (int64_t slept_ms = 0; slept_ms < duration_ms && !Stopping() && condition();
       slept_ms += kStepMs) {
    parts.clock.SleepMs(std::min(kStepMs, duration_ms - slept_ms));
  }
}

}  // namespace thresher
