#ifndef THRESHER_EXTRACT_CHECKPOINT_H_
#define THRESHER_EXTRACT_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "base/result.h"

namespace thresher {

// A local mirror of a worker's state, for people and for scripts that read
// checkpoints/checkpoint_worker_N.json. Nothing is ever decided from it: the checkpoint of a run is
// the set of its commits.
struct Checkpoint {
  int64_t worker_id = 0;
  int64_t last_processed_sample_idx = -1;
  int64_t total_samples_processed = 0;
  int64_t total_shards = 0;
  std::string dataset_path;
  std::string model_path;
  std::string status;  // "running", "completed", "stopped" or "failed"
};

// Replaces FOLDER/checkpoint_worker_N.json as a whole; makes the folder if there is none.
Status WriteCheckpoint(const std::string& folder, const Checkpoint& checkpoint);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_CHECKPOINT_H_
