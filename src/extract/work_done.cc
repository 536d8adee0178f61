#include "extract/work_done.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "extract/read_in_order.h"
#include "work/keys.h"
#include "work/records.h"

namespace thresher {

Result<WorkDone> ReadWorkDone(Store& store, int readers) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, kWorkersPrefix));
  std::vector<std::string> keys;
  for (const ObjectInfo& object : objects) {
    if (ParseHeartbeatKey(object.key)) keys.push_back(object.key);
  }
  WorkDone work;
  std::set<int64_t> workers;
  ReadInOrder<Heartbeat>(
      static_cast<int64_t>(keys.size()), readers,
      [&](int64_t index) -> Result<Heartbeat> {
        const std::string& key = keys[static_cast<size_t>(index)];
        ASSIGN_OR_RETURN(const std::string text, store.GetText(key));
        return Heartbeat::FromText(text, key);
      },
      [&](int64_t, const Result<Heartbeat>& heartbeat) {
        if (!heartbeat.ok()) return;
        ++work.session_count;
        workers.insert(heartbeat->worker_id);
        work.machine_ms +=
            std::max<int64_t>(0, heartbeat->updated_unix_ms - heartbeat->started_unix_ms);
        work.tokens_computed += heartbeat->tokens_computed;
        work.units_duplicate += heartbeat->units_duplicate;
      });
  work.worker_count = static_cast<int64_t>(workers.size());
  return work;
}

Json WorkDoneJson(const WorkDone& work, int64_t tokens_needed) {
  return {{"source", "the workers' last heartbeats"},
          {"sessions", work.session_count},
          {"workers", work.worker_count},
          {"machine_hours", static_cast<double>(work.machine_ms) / 3'600'000},
          {"tokens_computed", work.tokens_computed},
          {"tokens_computed_in_vain", std::max<int64_t>(0, work.tokens_computed - tokens_needed)},
          {"units_thrown_away", work.units_duplicate}};
}

}  // namespace thresher
