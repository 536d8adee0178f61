#ifndef THRESHER_LAUNCH_RESTARTS_H_
#define THRESHER_LAUNCH_RESTARTS_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace thresher {

// Decides which worker starts again and when, and what the whole came to. Knows statuses and times,
// no processes and no clock; not thread-safe.
class Restarts {
 public:
  struct Options {
    int64_t workers = 1;
    int64_t max_restarts = 5;  // of each worker; those older than `forgiven_after_ms` do not count
    int64_t first_pause_ms = 1'000;  // doubled with each further restart
    int64_t longest_pause_ms = 60'000;
    int64_t forgiven_after_ms = 600'000;
  };

  // How a process ended: an exit status, or 128 + the signal that killed it.
  static constexpr int kSignalBase = 128;

  explicit Restarts(const Options& options)
      : options_(options), workers_(static_cast<size_t>(options.workers)) {}

  // From here on nobody starts again.
  void Stop() { is_stopped_ = true; }

  // Worker `index`, which had run for `ran_ms`, has ended. The pause until it starts again, or
  // nothing: it stays as it is, because the run is complete, its usage is wrong, a stop was asked
  // for, or it failed too often.
  std::optional<int64_t> PauseAfterEnd(int64_t index, int status, int64_t ran_ms);

  // Whether worker `index` whose pause is over still starts: not after Stop, not when another has
  // completed the run meanwhile.
  bool ShouldStart() const { return !is_stopped_ && !completed_; }

  // Call when no worker runs. 0 or 3 if one of them completed the run, else 75 after Stop, else the
  // first status that a worker was given up with: 2, or 1 for everything else.
  int ExitStatus() const;

 private:
  struct Worker {
    int64_t restarts = 0;
  };

  const Options options_;
  std::vector<Worker> workers_;
  bool is_stopped_ = false;
  std::optional<int> completed_;  // the status 0 or 3
  std::optional<int> failed_;
};

}  // namespace thresher

#endif  // THRESHER_LAUNCH_RESTARTS_H_
