#ifndef THRESHER_EXTRACT_UNIT_IN_FLIGHT_H_
#define THRESHER_EXTRACT_UNIT_IN_FLIGHT_H_

#include <memory>
#include <optional>
#include <utility>

#include "base/result.h"
#include "extract/arena.h"
#include "extract/ledger.h"
#include "extract/shard_builder.h"
#include "extract/unit_job.h"

namespace thresher {

// A unit on its way through the pipeline; one thread holds it at a time, except that the engine
// fills rows while the sealer absorbs earlier ones.
struct UnitInFlight {
  explicit UnitInFlight(UnitJob unit_job) : job(std::move(unit_job)) {}

  UnitJob job;
  std::optional<ShardBuilder> builder;
  ArenaRing::Lease arena{nullptr, ArenaRing::Releaser(nullptr)};
  Status engine_status;  // the engine thread's: the first batch that failed

  Ledger::Claimed claimed() const { return {job.unit, job.epoch}; }
};
using UnitPointer = std::shared_ptr<UnitInFlight>;

}  // namespace thresher

#endif  // THRESHER_EXTRACT_UNIT_IN_FLIGHT_H_
