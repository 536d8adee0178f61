#ifndef THRESHER_DASHBOARD_RUN_WATCHER_H_
#define THRESHER_DASHBOARD_RUN_WATCHER_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "dashboard/event_log.h"
#include "monitor/alerts.h"
#include "monitor/run_reader.h"
#include "monitor/run_status.h"
#include "store/store.h"

namespace thresher {

// How fast a run was at a moment.
struct SpeedPoint {
  int64_t unix_ms = 0;
  double tokens_per_second = 0;
  double bytes_per_second = 0;
};

// A run as it was seen last. Immutable.
struct RunView {
  int64_t version = 0;                      // another one for every view
  int64_t unix_ms = 0;                      // when it was made, by this machine's clock
  int64_t read_unix_ms = 0;                 // when the run was read
  std::shared_ptr<const RunStatus> status;  // null until the run was read once
  std::string error;                        // why it could not be read now; empty: it could
  bool is_missing = false;                  // the store answers, and has no run there
  std::vector<Alert> alerts;
  std::vector<RunEvent> events;    // ascending
  std::vector<SpeedPoint> speeds;  // ascending, since watching began, up to kSpeedPoints
  // Tokens per second of each session at the last looks, up to kSparkPoints.
  std::shared_ptr<const std::map<std::string, std::vector<float>>> sparks;

  static constexpr size_t kSpeedPoints = 600;
  static constexpr size_t kSparkPoints = 40;
};

// Looks at a run again and again on threads of its own. Thread-safe.
class RunWatcher {
 public:
  struct Options {
    int64_t interval_ms = 2'000;  // between two looks; longer where a look takes long
    int64_t lease_ttl_ms = 0;     // 0: that of each worker
    AlertSettings alerts;
    // A look that takes longer counts as a store that does not answer.
    int64_t patience_ms = 8'000;
  };

  RunWatcher(std::unique_ptr<Store> store, Clock& clock, Options options);
  RunWatcher(const RunWatcher&) = delete;
  RunWatcher& operator=(const RunWatcher&) = delete;
  // Waits for the look that is going on.
  ~RunWatcher();

  // The newest view; never null.
  std::shared_ptr<const RunView> view() const;

  // The newest view as soon as it is not `version`, or null when none came within the time.
  std::shared_ptr<const RunView> WaitForOther(int64_t version, int64_t limit_ms) const;

 private:
  void LookAgainAndAgain();
  void NoticeSilence();
  void PublishStatus(RunStatus status);
  void PublishError(const Status& error);
  void Publish(std::shared_ptr<RunView> view);  // with mutex_ held
  void Remember(const RunStatus& status);

  const std::unique_ptr<Store> store_;
  Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::shared_ptr<const RunView> view_;  // guarded by mutex_, as all below
  bool is_over_ = false;
  int64_t look_began_ms_ = -1;     // monotonic; -1: no look is going on
  int64_t failing_since_ms_ = -1;  // monotonic; -1: the last look was well
  int64_t read_unix_ms_ = 0;
  EventLog events_;
  std::deque<SpeedPoint> speeds_;
  std::shared_ptr<const std::map<std::string, std::vector<float>>> sparks_;
  std::thread looker_;
  std::thread watchdog_;
};

}  // namespace thresher

#endif  // THRESHER_DASHBOARD_RUN_WATCHER_H_
