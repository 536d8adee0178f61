#ifndef THRESHER_DASHBOARD_DASHBOARD_H_
#define THRESHER_DASHBOARD_DASHBOARD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "dashboard/run_watcher.h"
#include "monitor/run_cost.h"
#include "store/store.h"
#include "web/http_server.h"

namespace thresher {

// What the dashboard answers, whoever asks. docs/monitoring.md describes the API:
//
//   /                  the page; /dashboard.css, /dashboard.js, /icon.svg
//   /api/runs          the runs that there are
//   /api/run?run=NAME  one run; NAME is left out where there is only one
//   /api/units?run=    the map of its units; cells=N: at most so many cells
//   /api/events?run=   what has happened since it is watched; after=N: since event N
//   /api/stream?run=   the same as /api/run, again and again, as server-sent events
//   /metrics?run=      the same as Prometheus metrics
//   /healthz           "ok"
//
// A run is watched from the first question for it on, and no longer when nobody has asked for ten
// minutes; the only run of its address, from the start. Thread-safe.
class Dashboard {
 public:
  struct Options {
    RunWatcher::Options watcher;
    std::optional<RunPrices> prices;
  };
  // Opens the store below which a run lies: "" the folder itself.
  using OpenFolder = std::function<Result<std::unique_ptr<Store>>(const std::string& name)>;

  Dashboard(OpenFolder open, Clock& clock, Options options);

  // Begins to watch the only run of the address, if there is one.
  void Begin();

  WebAnswer Answer(const WebRequest& request);

 private:
  struct Watched {
    std::shared_ptr<RunWatcher> watcher;
    int64_t asked_ms = 0;  // monotonic
  };

  WebAnswer AnswerRuns();
  WebAnswer AnswerRun(const WebRequest& request, RunWatcher& watcher) const;
  WebAnswer AnswerStream(std::shared_ptr<RunWatcher> watcher) const;
  WebAnswer AnswerMetrics(const WebRequest& request);
  Result<std::shared_ptr<RunWatcher>> WatcherOf(const std::string& name);
  void ForgetUnwatched();  // with mutex_ held

  const OpenFolder open_;
  Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  std::map<std::string, Watched> watched_;  // guarded by mutex_; by name
};

}  // namespace thresher

#endif  // THRESHER_DASHBOARD_DASHBOARD_H_
