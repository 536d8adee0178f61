#ifndef THRESHER_EXTRACT_WORK_DONE_H_
#define THRESHER_EXTRACT_WORK_DONE_H_

#include <cstdint>

#include "base/result.h"
#include "store/store.h"
#include "work/json_fields.h"

namespace thresher {

// What the workers of a run did for it, as their last heartbeats tell. Heartbeats that were cleaned
// away or cannot be read are missing, and a worker that was killed has not told what it did after
// its last one: for people, nothing rests on it.
struct WorkDone {
  int64_t session_count = 0;  // lives of workers
  int64_t worker_count = 0;   // different numbers among them
  int64_t machine_ms = 0;     // from start to last heartbeat, by each worker's own clock
  int64_t tokens_computed = 0;
  int64_t units_duplicate = 0;  // whole shards thrown away: another worker was faster
};

Result<WorkDone> ReadWorkDone(Store& store, int readers);

// "work" of summary.json (docs/formats.md). `tokens_needed`: what the committed units took.
Json WorkDoneJson(const WorkDone& work, int64_t tokens_needed);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_WORK_DONE_H_
