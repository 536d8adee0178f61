#ifndef THRESHER_EXTRACT_BEAT_LOOP_H_
#define THRESHER_EXTRACT_BEAT_LOOP_H_

#include <condition_variable>
#include <mutex>

#include "base/result.h"
#include "extract/progress.h"
#include "extract/worker_context.h"

namespace thresher {

// The worker's heartbeat and its report, several times a second.
class BeatLoop {
 public:
  // `context` must outlive the loop.
  explicit BeatLoop(WorkerContext& context) : context_(context) {}

  // Until End. A thread of its own.
  void Run();
  // Any thread; once.
  void End();

  // Writes a heartbeat now. Not while Run goes on.
  Status Beat(const char* state);

 private:
  void BeatAndReport();

  WorkerContext& context_;
  RateMeter computed_{60'000};   // tokens
  RateMeter uploaded_{300'000};  // bytes of shards
  std::mutex mutex_;
  std::condition_variable wakeup_;
  bool is_over_ = false;  // guarded by mutex_
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_BEAT_LOOP_H_
