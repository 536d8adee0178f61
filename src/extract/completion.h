#ifndef THRESHER_EXTRACT_COMPLETION_H_
#define THRESHER_EXTRACT_COMPLETION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "extract/run_store.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

// Writes what a finished run ends with, and then the record that it is complete:
//   manifest.json  every shard; a pure function of the run's records
//   summary.json   totals and statistics, the same; and from the workers' heartbeats what it took
//   README.md      what the run is and how to read it; a pure function of the run's records
// Whoever dies on the way leaves a run that the next worker concludes. Nothing if units are
// missing. Reads every commit once, many at a time; memory grows with the manifest's text alone.
Result<std::optional<Completion>> WriteManifest(Store& store, const Run& run);

// The record that the run is complete, if it is there.
Result<std::optional<Completion>> FindCompletion(Store& store, const Run& run);

// Lists a run that is said to be complete. True if every unit has its record. If records are gone
// (somebody has removed them, to have the units made anew), removes what says that the run is
// complete and the claims of the missing units, and nothing else: another worker may have made such
// a unit again by now. The manifest stays until the next one replaces it. On an error call it
// again.
Result<bool> IsStillComplete(Store& store, const Run& run);

struct ConcludeOptions {
  int64_t worker_id = 0;
  std::string session = {};
  int64_t lease_ttl_ms = 180'000;
  int64_t poll_ms = 1'000;                 // the first pause between looks; later ones are longer
  std::function<bool()> should_stop = {};  // asked while waiting
};

// The end of a run for a worker that found every unit finished: waits until the manifest is
// written, or writes it. Of many workers one does, under a lease as of a unit; another takes over
// if it does not finish in time. Nothing on should_stop, or if units turned out to be missing:
// then the marks that said otherwise are removed, so that the next worker makes them.
Result<std::optional<Completion>> ConcludeRun(Store& store, Clock& clock, const Run& run,
                                              const ConcludeOptions& options);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_COMPLETION_H_
