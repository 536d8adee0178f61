#ifndef THRESHER_MONITOR_UNIT_SURVEY_H_
#define THRESHER_MONITOR_UNIT_SURVEY_H_

#include <cstdint>
#include <map>
#include <vector>

#include "base/result.h"
#include "extract/run_store.h"
#include "monitor/run_status.h"
#include "store/store.h"

namespace thresher {

// What lists say of a run's units: who is committed, set aside, claimed; when; how often. Not
// thread-safe.
class UnitSurvey {
 public:
  // Lists what may have changed since the last call and fills in the parts of `status` that rest on
  // it: units (but for kHeld), committed_count, the quarantine, leases, finished, last_finished_ms
  // and newest_ms. An error leaves `status` undefined.
  Status Look(Store& store, const Run& run, RunStatus& status);

  // Units that were claimed since then count as held: their holders' next heartbeats will say so.
  void MarkFreshClaims(int64_t since_ms, RunStatus& status) const;

  // The newest timestamp that was seen.
  int64_t newest_ms() const { return newest_ms_; }

 private:
  struct Claims {
    int64_t claimed = 0;
    int64_t taken_over = 0;
    int64_t largest_epoch = 0;
    int64_t failed = 0;
  };
  struct NewestClaim {
    int64_t epoch = 0;
    int64_t written_ms = 0;
    bool has_ended = false;
  };
  struct Block {
    bool is_finished = false;           // a mark says so
    int64_t finished_ms = 0;            // the mark's time
    std::vector<int64_t> committed;     // ascending; of a finished block empty
    std::vector<int64_t> committed_ms;  // of each
    std::map<int64_t, NewestClaim> claimed;
    bool are_claims_final = false;  // they were listed after the mark was seen
    Claims claims;
  };

  Status ReadMarks(Store& store, int64_t unit_count);
  Status ListBlock(Store& store, int64_t index, int64_t unit_count, bool list_claims);
  Status ReadQuarantine(Store& store, const std::vector<int64_t>& units, RunStatus& status);
  void Describe(const std::vector<int64_t>& set_aside, RunStatus& status) const;
  void DescribeTimes(RunStatus& status) const;

  std::vector<Block> blocks_;
  std::map<int64_t, Quarantine> quarantine_;  // records that were read
  int64_t newest_ms_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_MONITOR_UNIT_SURVEY_H_
