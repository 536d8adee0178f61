#ifndef THRESHER_LAUNCH_SLURM_H_
#define THRESHER_LAUNCH_SLURM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "launch/job.h"

namespace thresher {

struct SlurmOptions {
  std::string program = {};  // where the nodes find it
  // Each "" or 0 is left to the cluster's own default.
  std::string partition = {};
  std::string account = {};
  std::string time = {};    // limit of one start, "4:00:00"; a task that reaches it is queued again
  std::string memory = {};  // "32G"
  int64_t cpus = 0;         // of each worker
  int64_t gpus = 0;         // of each worker
  int64_t at_once = 0;      // workers that run at the same time; 0: as many as find room
  int64_t max_restarts = 5;                      // after failures; pre-emptions do not count
  std::vector<std::string> sbatch_options = {};  // further ones, "--constraint=avx512"
};

// An array job with one task for each worker, and `sbatch`, which reads it. The script starts the
// worker, hands on Slurm's requests to stop (before the time limit, pre-emption, scancel), queues
// the task again when the worker stopped before the run was complete, and starts the worker again
// where it failed. Exit statuses 0, 2 and 3 of the worker end the task. kInvalidArgument, naming
// the flag. Pure; any thread.
Result<Submission> MakeSlurmSubmission(const LaunchJob& job, const SlurmOptions& options);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_SLURM_H_
