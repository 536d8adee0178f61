#include "monitor/run_status.h"

#include <bit>

#include "monitor/run_reader.h"

namespace thresher {

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

std::string_view WorkerStateName(WorkerState state) {
  switch (state) {
    case WorkerState::kRunning:
      return "running";
    case WorkerState::kSilent:
      return "silent";
    case WorkerState::kLost:
      return "lost";
    case WorkerState::kReplaced:
      return "replaced";
    case WorkerState::kEnding:
      return "ending";
    case WorkerState::kStopped:
      return "stopped";
  }
  return "";
}

std::string_view UnitConditionName(UnitCondition state) {
  switch (state) {
    case UnitCondition::kOpen:
      return "open";
    case UnitCondition::kHeld:
      return "held";
    case UnitCondition::kWaiting:
      return "waiting";
    case UnitCondition::kCommitted:
      return "committed";
    case UnitCondition::kQuarantined:
      return "quarantined";
  }
  return "";
}

std::string_view TotalsSourceName(TotalsSource source) {
  switch (source) {
    case TotalsSource::kCommits:
      return "commits";
    case TotalsSource::kManifest:
      return "manifest";
    case TotalsSource::kSample:
      return "sample";
  }
  return "";
}

void Histogram::Add(int64_t value) {
  const uint64_t steps = static_cast<uint64_t>(value < first ? 1 : value / first);
  const auto bin = static_cast<size_t>(std::bit_width(steps) - 1);
  if (counts.size() <= bin) counts.resize(bin + 1);
  ++counts[bin];
}

Result<RunStatus> ReadRunStatus(Store& store, const RunStatusOptions& options) {
  return RunReader(store).Read(options);
}

}  // namespace thresher
