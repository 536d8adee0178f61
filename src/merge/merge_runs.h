#ifndef THRESHER_MERGE_MERGE_RUNS_H_
#define THRESHER_MERGE_MERGE_RUNS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

// Makes one run of several over disjoint data, with equal settings. The merged run is a run like
// any other: its data set is those of the parts, one after another, and so are its units. Nothing
// in the parts is changed.
//
//   1. check    the parts agree, are complete, and have no sample in common
//   2. begin    plan and run.json, which lists the parts
//   3. copy     unit by unit: shard, then commit (copy_unit.h); records of units that are set aside
//   4. finish   the workers' heartbeats; manifest, summary, README and the mark that it is complete
//
// Every object is the same bytes whoever writes it, and a commit is created after its whole shard.
// So a merge that was interrupted is started again with the same words and goes on with what is
// missing, and two at the same time do no harm.

struct MergeSource {
  std::string url;         // for messages
  Store* store = nullptr;  // borrowed
};

struct MergeOptions {
  int64_t connections = 4;        // shards on their way at the same time, each in memory
  bool allow_duplicates = false;  // samples that two parts have in common are no error
  // Called after each step of a phase, one call at a time.
  std::function<void(const char* phase, int64_t done, int64_t total)> on_progress = {};
};

struct MergeReport {
  std::string run_fingerprint;
  int64_t unit_count = 0;
  int64_t copied_count = 0;  // by this call; others were there
  int64_t sample_count = 0;
  int64_t bytes_copied = 0;
  Completion completion;
};

// kFailedPrecondition if the parts cannot be merged or `output` holds another run, kDataLoss if a
// part is damaged. At least two sources.
Result<MergeReport> MergeRuns(const std::vector<MergeSource>& sources, Store& output, Clock& clock,
                              const MergeOptions& options);

}  // namespace thresher

#endif  // THRESHER_MERGE_MERGE_RUNS_H_
