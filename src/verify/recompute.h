#ifndef THRESHER_VERIFY_RECOMPUTE_H_
#define THRESHER_VERIFY_RECOMPUTE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "store/store.h"
#include "verify/finding.h"
#include "verify/run_records.h"
#include "verify/run_samples.h"

namespace thresher {

struct PickedSequence {
  int64_t unit = 0;
  int64_t sequence = 0;  // among those of the unit's shard that have a row
};

// A random `fraction` of all sequences, at least one if there is one and `fraction` is above 0, the
// same for the same seed text; ascending. `sequence_counts` by unit.
std::vector<PickedSequence> PickSequences(std::string_view seed_text, double fraction,
                                          const std::vector<int64_t>& sequence_counts);

// All borrowed.
struct Recomputation {
  Store& store;
  const RunRecords& records;
  const RunSamples* samples;  // of the run; null: not at hand
  Engine& engine;
  int threads;
  FindingLog& log;
};

struct RecomputeResult {
  int64_t sequences = 0;
  int64_t tokens = 0;         // that were computed
  int64_t comparisons = 0;    // one for each sequence and hook point
  int64_t identical = 0;      // those that agree bit by bit
  double worst_relative = 0;  // relative L2 error, of the comparison nearest to its limit
  double worst_of_limit = 0;  // the same as a fraction of what is allowed
  std::string worst_where;
};

// Runs the picked sequences through `engine` one at a time, each alone in its batch, and compares
// the stored rows of all hook points with what comes out: bit by bit, and where that fails by the
// size of the error (row_error.h), since another type of processor rounds otherwise. The engine's
// hook points and arithmetic are those of the run, its stored dtype is f32. A unit of which only
// some rows are stored lacks token ids that the others depend on: they are read from `samples`,
// which must be there if such a unit is picked. Memory: all hook points of one sequence in f32, and
// the largest one twice as stored and once in f32 for each thread. Errors are those of the engine
// or the store; differences go to `log`. `on_tokens` is told of each sequence's tokens when it is
// done.
Result<RecomputeResult> RecomputeSequences(const Recomputation& parts,
                                           const std::vector<PickedSequence>& picked,
                                           const std::function<void(int64_t)>& on_tokens);

}  // namespace thresher

#endif  // THRESHER_VERIFY_RECOMPUTE_H_
