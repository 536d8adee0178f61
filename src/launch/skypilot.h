#ifndef THRESHER_LAUNCH_SKYPILOT_H_
#define THRESHER_LAUNCH_SKYPILOT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "launch/job.h"

namespace thresher {

struct SkypilotOptions {
  std::string image = {};         // with thresher in it
  std::string infra = {};         // "gcp/us-central1"; empty: wherever it is cheapest
  std::string accelerators = {};  // "H100:1", "tpu-v5litepod-4"; empty: none
  std::string cpus = {};          // "16+"
  std::string memory = {};        // "64+", in GB
  bool spot = false;
  int64_t max_restarts = 5;  // after failures; pre-emptions do not count
  // Names of environment variables of the submitting machine that SkyPilot passes on as secrets.
  std::vector<std::string> secrets = {};
};

// One managed job for each worker, and `bash -s`, which runs the script that submits them with sky.
// The task file that they share is part of the script. Exit statuses: 0 and 3 end a job well, 75
// recovers it without limit, 2 ends it as failed. Secrets are named and never written.
// kInvalidArgument, naming the flag. Pure; any thread.
Result<Submission> MakeSkypilotSubmission(const LaunchJob& job, const SkypilotOptions& options);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_SKYPILOT_H_
