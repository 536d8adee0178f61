#ifndef THRESHER_MONITOR_WORKER_SURVEY_H_
#define THRESHER_MONITOR_WORKER_SURVEY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "monitor/run_status.h"
#include "store/store.h"

namespace thresher {

// The sessions of a run's workers, by their heartbeats. Not thread-safe.
class WorkerSurvey {
 public:
  // Lists the heartbeats and reads those that are new. `now_unix_ms`: the reader's clock.
  Status Look(Store& store, int64_t now_unix_ms);

  // The store's time now, as far as the heartbeats tell: not before the newest timestamp. While
  // heartbeats change between two looks, the store's clock is known to the time between them;
  // before that, the reader's own is taken for it.
  int64_t StoreNowMs(int64_t now_unix_ms) const;

  // Fills in `workers` and `worker_counts`, each with its state at `status.now_ms`; heartbeats that
  // cannot be read go to `unreadable`. Needs `state` to say whether the run is finished.
  void Describe(int64_t lease_ttl_ms, RunStatus& status) const;

 private:
  struct Known {
    int64_t modified_ms = 0;
    std::optional<Heartbeat> heartbeat;
    std::string error;  // why there is none
  };

  std::map<std::string, Known> known_;  // by key
  int64_t newest_ms_ = 0;
  bool has_looked_ = false;
  std::optional<int64_t> store_ahead_ms_;  // of the reader's clock, at least
};

// What a heartbeat of that age says of its worker. `lease_ttl_ms` 0: its own.
WorkerState StateOfWorker(const Heartbeat& heartbeat, int64_t age_ms, int64_t lease_ttl_ms,
                          bool is_replaced, bool run_is_finished);

}  // namespace thresher

#endif  // THRESHER_MONITOR_WORKER_SURVEY_H_
