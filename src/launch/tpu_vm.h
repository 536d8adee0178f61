#ifndef THRESHER_LAUNCH_TPU_VM_H_
#define THRESHER_LAUNCH_TPU_VM_H_

#include <string>

#include "launch/job.h"

namespace thresher {

struct TpuVmOptions {
  std::string image = {};            // with thresher in it; Docker is part of the TPU VMs' system
  std::string accelerator = {};      // "v5litepod-4"
  std::string runtime_version = {};  // "v2-alpha-tpuv5-lite"
  std::string zone = {};
  std::string project = {};          // empty: gcloud's own
  std::string service_account = {};  // empty: the project's default
  bool spot = false;
  bool keep_machines = false;  // when the run is complete; otherwise each asks for its own deletion
};

// One queued resource for each worker, and `bash -s`, which runs the script that asks for them with
// gcloud. The script may run again at any time: it asks for those that are missing, replaces those
// that were taken away or failed, and leaves the others alone. Each machine starts its worker at
// every boot, and again after it stopped early or failed, until the run is complete. No secret: the
// machine's service account is what opens the bucket. kInvalidArgument, naming the flag. Pure; any
// thread.
Result<Submission> MakeTpuVmSubmission(const LaunchJob& job, const TpuVmOptions& options);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_TPU_VM_H_
