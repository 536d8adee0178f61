#ifndef THRESHER_VERIFY_RUN_RECORDS_H_
#define THRESHER_VERIFY_RUN_RECORDS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "extract/run_store.h"
#include "shard/layout.h"
#include "store/store.h"
#include "verify/finding.h"
#include "work/records.h"

namespace thresher {

enum class UnitState {
  kMissing,      // neither committed nor set aside
  kCommitted,    // its record can be read and its shard can be checked
  kBadCommit,    // a commit is there, but nothing can be learnt from it
  kQuarantined,  // set aside, not committed
};

struct UnitRecord {
  UnitState state = UnitState::kMissing;
  // Of a committed unit, without what only the shard's own check needs (tensors, statistics), so
  // that the records of a large run fit into memory.
  Commit commit;
  Quarantine quarantine;
};

// Everything that a run's small objects say.
struct RunRecords {
  Run run;
  DType dtype = DType::kBf16;
  std::vector<ShardHook> hooks;   // widths 0 if no unit stores a token
  std::vector<UnitRecord> units;  // by unit number
};

// Reads and checks run.json, the plan, every commit and quarantine record, manifest.json and
// summary.json.
// kNotFound if there is no run; another error if run.json or the plan cannot be used at all or the
// store cannot be asked. Everything else that is wrong goes to `log`. `on_record` is called after
// each commit, from several threads, with the number of all commits.
Result<RunRecords> CheckRecords(Store& store, int threads, FindingLog& log,
                                const std::function<void(int64_t count)>& on_record);

// Counts what no record refers to: shards without a commit, handovers of finished units.
void NoteLeftovers(Store& store, const RunRecords& records, FindingLog& log);

}  // namespace thresher

#endif  // THRESHER_VERIFY_RUN_RECORDS_H_
