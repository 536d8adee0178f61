#ifndef THRESHER_MONITOR_RUN_READER_H_
#define THRESHER_MONITOR_RUN_READER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "monitor/commit_sample.h"
#include "monitor/run_status.h"
#include "monitor/unit_survey.h"
#include "monitor/worker_survey.h"
#include "store/store.h"

namespace thresher {

// Reads the state of one run again and again; what cannot change is read once. Not thread-safe.
//
// What one look costs: one list each of index/, workers/ and quarantine/, one of commits (and in
// runs of up to kListedLeaseUnits units one of claims) for every block of 1,000 units that is not
// marked as finished, and one read for each heartbeat that has changed and each commit that is new:
// all of them in runs of up to kExactTotalsUnits committed units or with `exact`, else a sample of
// some hundred that stays the same.
class RunReader {
 public:
  // `store` is borrowed.
  explicit RunReader(Store& store) : store_(store) {}

  // An error leaves what was read before as it is: ask again.
  Result<RunStatus> Read(const RunStatusOptions& options);

 private:
  Status LoadOrExtendRun();
  Status Total(const RunStatusOptions& options, RunStatus& status);

  Store& store_;
  std::optional<Run> run_;
  int64_t started_ms_ = 0;
  UnitSurvey units_;
  WorkerSurvey workers_;
  CommitSample commits_;
};

}  // namespace thresher

#endif  // THRESHER_MONITOR_RUN_READER_H_
