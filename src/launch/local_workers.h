#ifndef THRESHER_LAUNCH_LOCAL_WORKERS_H_
#define THRESHER_LAUNCH_LOCAL_WORKERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "launch/restarts.h"

namespace thresher {

// One process of this machine.
struct LocalWorker {
  std::vector<std::string> command = {};                // [0]: path of the program
  std::vector<int> processors = {};                     // it is bound to these; empty: to none
  std::map<std::string, std::string> environment = {};  // beside this process's own
};

struct LocalOptions {
  Restarts::Options restarts = {};
  // Standard output goes through as it is, a line at a time, for programs that read it.
  bool plain_output = false;
};

// Starts the workers, prints what they print with "[N] " in front of each line, starts them again
// as Restarts decides, and returns its exit status when all have ended. SIGTERM, SIGINT and SIGUSR1
// are handed on as SIGTERM, a second SIGINT as SIGINT, which ends a worker at once. Workers are
// told to stop when this process dies. Call once in a process: it takes over those signals and
// SIGCHLD. kInternal if the system has no process or pipe to give.
Result<int> RunLocalWorkers(const std::vector<LocalWorker>& workers, const LocalOptions& options);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_LOCAL_WORKERS_H_
