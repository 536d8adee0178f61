#ifndef THRESHER_CLI_STOP_SIGNALS_H_
#define THRESHER_CLI_STOP_SIGNALS_H_

#include <cstdint>

#include "extract/worker.h"

namespace thresher {

// From now on SIGTERM, SIGINT and SIGUSR1 (Slurm's warning) make `stop`'s request. A process that
// has not ended some seconds after the grace period ends at once with status 75: its leases run
// out, and nothing that it had not committed counts. A second SIGINT ends it at once too. `stop`
// must live as long as the process.
void StopOnSignals(StopRequest& stop, int64_t grace_ms);

}  // namespace thresher

#endif  // THRESHER_CLI_STOP_SIGNALS_H_
