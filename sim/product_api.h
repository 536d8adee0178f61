#ifndef THRESHER_SIM_PRODUCT_API_H_
#define THRESHER_SIM_PRODUCT_API_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "extract/ledger.h"
#include "extract/run_store.h"
#include "sim/workload.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher::sim {

// The product's calls that the simulator makes, in one place.

// As `thresher extract` does when it starts.
Result<Run> OpenRun(Store& store, const Workload& workload);

Ledger::Options LedgerOptions(int64_t worker_id, const std::string& session,
                              std::optional<int64_t> worker_count, int64_t lease_ttl_ms,
                              int64_t idle_poll_ms);

// What a worker is told to do next.
struct Step {
  enum class Kind { kClaimed, kWait, kDone };
  Kind kind = Kind::kWait;
  Ledger::Claimed claimed = {};  // if kClaimed
  int64_t wait_ms = 0;           // if kWait
};
Result<Step> NextStep(Ledger& ledger);

struct ConcludeParts {
  int64_t worker_id = 0;
  std::string session;
  int64_t lease_ttl_ms = 0;
  int64_t idle_poll_ms = 0;
  std::function<bool()> should_stop;
};
// As `thresher extract` does when its worker has found the run complete. False if it was asked to
// stop before that was done.
Result<bool> Conclude(Store& store, Clock& clock, const Run& run, const ConcludeParts& parts);

// `commits` and `quarantined` ascending by unit.
std::string ManifestOf(const Run& run, const std::vector<Commit>& commits,
                       const std::vector<Quarantine>& quarantined);

// "content" of summary.json, as text.
std::string SummaryContentOf(const Run& run, const std::vector<Commit>& commits,
                             const std::vector<Quarantine>& quarantined);

}  // namespace thresher::sim

#endif  // THRESHER_SIM_PRODUCT_API_H_
