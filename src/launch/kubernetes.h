#ifndef THRESHER_LAUNCH_KUBERNETES_H_
#define THRESHER_LAUNCH_KUBERNETES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "launch/job.h"

namespace thresher {

struct KubernetesOptions {
  std::string image = {};
  std::string name_space = {};       // empty: the context's own
  std::string service_account = {};  // whose workload identity may use the bucket
  std::string spot = {};             // "", "gke", "eks" or "aks": run on its pre-emptible nodes
  std::string cpus = {};             // "16" or "500m"
  std::string memory = {};           // "64Gi"
  int64_t gpus = 0;
  int64_t max_restarts = 5;  // of a worker after failures; pre-emptions do not count
  // Names of Secrets whose keys become environment variables.
  std::vector<std::string> secrets = {};
  // "CLAIM=/path": a PersistentVolumeClaim and where the workers see it.
  std::vector<std::string> volumes = {};
  // TPU slices of GKE, all or none: "tpu-v5-lite-podslice", "2x4", and how many chips a machine
  // has.
  std::string tpu_accelerator = {};
  std::string tpu_topology = {};
  int64_t tpu_chips = 0;
};

// Paths at which `volumes` are seen. kInvalidArgument, naming --volume.
Result<std::vector<std::string>> MountPaths(const std::vector<std::string>& volumes);

// An Indexed Job with one pod for each worker, or with TPU options a JobSet with one such Job for
// each slice, and `kubectl apply -f -`. The pods' exit statuses decide: 0 ends a worker; 2 ends the
// whole job, because all would say the same; 3 fails the worker's index without a retry; 75 and
// evictions are retried without limit, every other status `max_restarts` times. Credentials are
// named by reference only. kInvalidArgument, naming the flag. Pure; any thread.
Result<Submission> MakeKubernetesSubmission(const LaunchJob& job, const KubernetesOptions& options);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_KUBERNETES_H_
