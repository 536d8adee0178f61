#ifndef THRESHER_EXTRACT_RUN_STORE_H_
#define THRESHER_EXTRACT_RUN_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/store.h"
#include "work/plan.h"
#include "work/records.h"
#include "work/run_spec.h"

namespace thresher {

// A run as everybody who opens its folder sees it: what is immutable in it.
struct Run {
  RunSpec spec;             // with the data set of the last extension
  std::string fingerprint;  // of run.json: extensions do not change it
  Plan plan;                // of all samples
  int64_t extension_count = 0;
};

// Reads run.json alone. kNotFound if the folder holds no run.
Result<RunSpec> LoadRunSpec(Store& store);

// Reads run.json, the plan and the extensions. kNotFound if the folder holds no run.
Result<Run> LoadRun(Store& store);

// What a worker brings to a run besides its settings.
struct JoinParts {
  // The plan of a range of its data set's samples, counted from 0.
  std::function<Result<Plan>(SampleRange)> make_plan = {};
  // Of the first samples of its data set.
  std::function<Result<std::string>(int64_t)> dataset_fingerprint = {};
  bool extend = false;               // add what its data set has more than the run's
  bool allow_mixed_engines = false;  // join a run that another engine computes
};

// Opens the run of a worker that wants `wanted`: creates it if the folder holds none.
// kFailedPrecondition, naming each field that differs, if the folder holds another run. Any number
// of workers may call this at the same time.
Result<Run> CreateOrJoinRun(Store& store, const RunSpec& wanted, const JoinParts& parts);

// The units that have a record "PREFIXunit-N.json", ascending. Other names below the prefix are
// passed over.
Result<std::vector<int64_t>> ListUnits(Store& store, std::string_view prefix, int64_t unit_count);

Result<Commit> ReadCommit(Store& store, int64_t unit);
Result<Quarantine> ReadQuarantine(Store& store, int64_t unit);

// What came of an attempt to create a record that only one may create.
enum class Creation {
  kOurs,  // the object holds our bytes: this call wrote it, or an earlier one whose answer was lost
  kSomeoneElses,  // the object holds other bytes, returned in `existing`
};
struct CreatedRecord {
  Creation creation = Creation::kOurs;
  std::string existing;
};

// Creates the object unless it exists, and finds out who won whatever the store answered: after a
// conflict or a lost answer the object is read back. An error means that the store could not be
// asked; the object may or may not be there.
Result<CreatedRecord> CreateRecord(Store& store, std::string_view key, std::string_view text);

// Removes what says that these units are finished without being their records: the marks of their
// blocks, and before them that the run is complete, lest a worker finishes the units and finds that
// nothing is left to conclude.
Status RemoveFinishedMarks(Store& store, int64_t unit_count, const std::vector<int64_t>& units);

// Deletes every object whose key begins with `prefix`.
Status DeleteBelow(Store& store, const std::string& prefix);

// Opens a finished unit again: removes its commit or quarantine record and its claims, and what
// says that the run is complete. The shard stays where it is. For units that are damaged, or were
// set aside for a reason that is gone; workers have to be started anew. kInvalidArgument if the run
// has no such unit, kNotFound if it is not finished.
Status ReopenUnit(Store& store, const Run& run, int64_t unit);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_RUN_STORE_H_
