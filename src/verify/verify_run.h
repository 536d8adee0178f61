#ifndef THRESHER_VERIFY_VERIFY_RUN_H_
#define THRESHER_VERIFY_VERIFY_RUN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "graph/hook_point.h"
#include "model/model.h"
#include "store/store.h"
#include "verify/finding.h"
#include "verify/recompute.h"

namespace thresher {

struct VerifyProgress {
  enum class Phase { kRecords, kShards, kWeights, kRecompute };
  Phase phase = Phase::kRecords;
  int64_t done = 0;  // records, bytes, nothing, tokens
  int64_t total = 0;
};

struct VerifyOptions {
  double recompute_fraction = 0.02;  // of all sequences, at least one; 0: none
  // Where the inputs are now; empty: where run.json says they were. What is given here must be
  // there and fit; what run.json says need not be.
  std::string dataset_path;
  std::string model_directory;
  int threads = 0;  // 0: all cores that this process may use
  // Makes the engine that computes again: the run's arithmetic, f32 outputs. The CPU engine if
  // empty.
  std::function<Result<std::unique_ptr<Engine>>(const Model&, const std::vector<HookPoint>&)>
      create_engine;
  std::function<void(const Finding&)> on_finding;          // one thread at a time
  std::function<void(const VerifyProgress&)> on_progress;  // one thread at a time
};

struct VerifyReport {
  std::vector<Finding> findings;
  int64_t damage_count = 0;
  int64_t incomplete_count = 0;
  int64_t warning_count = 0;

  int64_t unit_count = 0;
  int64_t committed_count = 0;
  int64_t quarantined_count = 0;
  int64_t sample_count = 0;  // of the run
  int64_t stored_samples = 0;
  int64_t rejected_samples = 0;
  int64_t tokens = 0;
  int64_t bytes_read = 0;  // of shards
  bool rows_were_identified = false;
  RecomputeResult recomputed;

  bool ok() const { return damage_count == 0 && incomplete_count == 0; }
};

// Checks a run against everything that is known about it (docs/operating.md): its records, every
// byte of every shard, that each sample is there exactly once, that rows belong to the samples that
// they claim, and a random part by computing it again. All that is wrong is in the report; an error
// means that there is no run, that an input named in `options` cannot be used, or that the store or
// the engine failed.
// Memory: one piece of kPieceBytes and the small tensors of one shard for each thread, one short
// record for each unit, one byte for each sample, and what RecomputeSequences says.
Result<VerifyReport> VerifyRun(Store& store, const VerifyOptions& options);

}  // namespace thresher

#endif  // THRESHER_VERIFY_VERIFY_RUN_H_
