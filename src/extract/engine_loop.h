#ifndef THRESHER_EXTRACT_ENGINE_LOOP_H_
#define THRESHER_EXTRACT_ENGINE_LOOP_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/bounded_queue.h"
#include "extract/arena.h"
#include "extract/feeder.h"
#include "extract/unit_in_flight.h"
#include "extract/unit_job.h"
#include "extract/upload_loop.h"
#include "extract/worker_context.h"

namespace thresher {

// Forward passes: takes units from the feeder, computes their rows into arenas, and tells the
// sealer which are in place. An engine may hold several batches, of several units.
class EngineLoop {
 public:
  // Everything is borrowed. `uploads` is asked how long an upload takes.
  struct Parts {
    WorkerContext& context;
    EnginePace& pace;
    BoundedQueue<UnitPointer>& fed;
    BoundedQueue<SealRequest>& filled;
    UploadLoop& uploads;
  };
  explicit EngineLoop(const Parts& parts)
      : context_(parts.context),
        worker_(parts.context.parts),
        pace_(parts.pace),
        fed_(parts.fed),
        filled_(parts.filled),
        uploads_(parts.uploads),
        ring_(parts.context.options.arenas) {}

  // Until no unit comes any more and the engine is empty.
  void Run();

 private:
  // A batch that the engine has begun. The unit's arena stays until it is finished.
  struct BatchInFlight {
    UnitPointer unit;
    BatchRange range;
    bool is_last;  // of the unit
    int64_t token_count;
    int64_t row_count;
    int64_t begin_us;
  };

  UnitPointer NextUnit();
  void Compute(const UnitPointer& unit);
  bool PlaceInArena(UnitInFlight& unit);
  int64_t SequencesLeftByOthers(UnitInFlight& unit);
  void BeginBatch(const UnitPointer& unit, const BatchRange& batch);
  void FinishOldestBatch();
  void FinishBatches();
  void EndRows(const UnitPointer& unit, const BatchRange& batch, bool is_last);
  void EndUnit(const UnitPointer& unit);
  bool WorthFinishing(const UnitInFlight& unit, size_t next_batch) const;
  void WaitWhileHeartbeatIsStale();

  WorkerContext& context_;
  Worker::Parts& worker_;
  EnginePace& pace_;
  BoundedQueue<UnitPointer>& fed_;
  BoundedQueue<SealRequest>& filled_;
  UploadLoop& uploads_;
  ArenaRing ring_;
  std::deque<BatchInFlight> in_flight_;  // in the engine, the oldest first
  int64_t last_finish_us_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_ENGINE_LOOP_H_
