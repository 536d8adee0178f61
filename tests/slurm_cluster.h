#ifndef THRESHER_TESTS_SLURM_CLUSTER_H_
#define THRESHER_TESTS_SLURM_CLUSTER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/temporary_folder_for_test.h"
#include "process.h"

namespace thresher {

// Why no Slurm can be started here; empty if it can.
std::string WhySlurmIsMissing();

// Slurm's own daemons on loopback, with configuration, state and logs in a folder of their own: one
// node with two processors, and two partitions, "low", which jobs of "high" pre-empt after a grace
// period of 10 s by queueing them again. All end with this object. Not thread-safe.
class SlurmCluster {
 public:
  SlurmCluster();
  SlurmCluster(const SlurmCluster&) = delete;
  SlurmCluster& operator=(const SlurmCluster&) = delete;
  ~SlurmCluster();

  // Returns when the node takes jobs.
  Status Start();

  // SLURM_CONF, for Slurm's own clients.
  std::map<std::string, std::string> Environment() const;

  // Runs a client of Slurm and returns what it printed; a failure is a failed check.
  std::string Ask(const std::vector<std::string>& words) const;

  // The ends of the daemons' logs, for messages of failed tests.
  std::string Logs() const;

 private:
  Process StartDaemon(const std::vector<std::string>& words);
  std::string ConfigurationText() const;

  TemporaryFolder folder_;
  std::string host_;
  int controller_port_ = 0;
  int node_port_ = 0;
  std::optional<Process> munge_;
  std::optional<Process> controller_;
  std::optional<Process> node_;
};

}  // namespace thresher

#endif  // THRESHER_TESTS_SLURM_CLUSTER_H_
