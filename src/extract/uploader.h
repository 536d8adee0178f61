#ifndef THRESHER_EXTRACT_UPLOADER_H_
#define THRESHER_EXTRACT_UPLOADER_H_

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "base/logger.h"
#include "base/result.h"
#include "extract/ledger.h"
#include "extract/progress.h"
#include "extract/publish.h"
#include "extract/shard_builder.h"
#include "extract/spool.h"
#include "extract/unit_in_flight.h"
#include "store/store.h"

namespace thresher {

// What happens to a unit once the engine has done its part: it becomes a shard of the run, or, when
// the worker has to stop, is handed over. Has no thread of its own; one thread calls Finish and
// HandOver, any may ask for EstimatedUploadMs.
class Uploader {
 public:
  // Everything is borrowed.
  struct Parts {
    Store& store;
    Clock& clock;
    Ledger& ledger;
    const ShardFormat& format;
    Progress& progress;
    Spool* spool = nullptr;  // null: no local copies
    const Logger& log;
  };

  explicit Uploader(const Parts& parts, const PublishPolicy& policy = {})
      : p_(parts), policy_(policy) {}

  // Publishes the finished shard and counts it. An error means that the unit stays open.
  Status Finish(UnitInFlight& unit);

  // Leaves the first `sequences` sequences to the unit's next owner and releases the claim.
  Status HandOver(UnitInFlight& unit, int64_t sequences);

  // From the speed of the last upload.
  int64_t EstimatedUploadMs(int64_t bytes) const { return bytes / upload_bytes_per_ms_; }

 private:
  void CountCommit(const Commit& commit);

  const Parts p_;
  const PublishPolicy policy_;
  std::atomic<int64_t> upload_bytes_per_ms_{200'000};
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_UPLOADER_H_
