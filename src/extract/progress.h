#ifndef THRESHER_EXTRACT_PROGRESS_H_
#define THRESHER_EXTRACT_PROGRESS_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "work/records.h"

namespace thresher {

// What a worker has done so far: written by the pipeline's threads, read by those who show it.
// Thread-safe.
struct Progress {
  std::atomic<int64_t> units_committed{0};  // by this worker
  std::atomic<int64_t> units_duplicate{0};  // thrown away: another worker was faster
  std::atomic<int64_t> units_failed{0};
  std::atomic<int64_t> units_handed_over{0};
  std::atomic<int64_t> samples_committed{0};
  std::atomic<int64_t> samples_rejected{0};
  std::atomic<int64_t> samples_truncated{0};  // of those committed
  std::atomic<int64_t> tokens_committed{0};   // whose rows are stored
  std::atomic<int64_t> bytes_committed{0};
  std::atomic<int64_t> tokens_computed{0};  // that the engine read
  std::atomic<int64_t> rows_computed{0};    // of those, the tokens whose rows it wrote
  std::atomic<int64_t> last_sample_committed{-1};
  std::atomic<int64_t> run_units_finished{0};  // by all workers, as last seen
  std::atomic<int64_t> units_adopted{0};       // not computed: found in the local spool
  std::atomic<int64_t> engine_wait_for_unit_us{0};
  std::atomic<int64_t> engine_wait_for_arena_us{0};  // all were being sealed or uploaded
  std::atomic<int64_t> engine_busy_us{0};
  std::atomic<int64_t> forward_tokens_committed{0};  // that the model read for what is committed
  std::atomic<int64_t> units_taken_over{0};          // claimed after somebody else had claimed them
  std::atomic<int64_t> bytes_uploaded{0};            // of shards, duplicates included
  std::atomic<int64_t> upload_us{0};                 // retries and the look at the store included
  std::atomic<int64_t> uploads_failed{0};            // for good: the unit stayed open
  std::atomic<int64_t> upload_failed_unix_ms{0};     // the last of them
  std::atomic<int64_t> unit_failed_unix_ms{0};  // the engine could not compute it, the last time
  std::atomic<int64_t> progressed_unix_ms{0};   // a batch was computed, or a unit ended

  void SetLastError(const std::string& error);
  std::string LastError() const;

  int64_t engine_wait_us() const { return engine_wait_for_unit_us + engine_wait_for_arena_us; }

  // Fills in what a heartbeat says of a worker's progress.
  void Describe(Heartbeat& heartbeat) const;

  // Units in hand, for the heartbeat.
  void Hold(int64_t unit);
  void LetGo(int64_t unit);
  std::vector<int64_t> UnitsHeld() const;

 private:
  mutable std::mutex mutex_;
  std::string last_error_;
  std::vector<int64_t> units_held_;
};

// The speed of a growing count over the last `window_ms` or so. Not thread-safe.
class RateMeter {
 public:
  explicit RateMeter(int64_t window_ms) : window_ms_(window_ms) {}

  void Add(int64_t now_ms, int64_t count);
  double PerSecond() const;

 private:
  struct Point {
    int64_t ms;
    int64_t count;
  };
  int64_t window_ms_;
  std::vector<Point> points_;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_PROGRESS_H_
