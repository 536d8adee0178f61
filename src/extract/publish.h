#ifndef THRESHER_EXTRACT_PUBLISH_H_
#define THRESHER_EXTRACT_PUBLISH_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "base/trace.h"
#include "extract/ledger.h"
#include "extract/retry.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

// The way of a finished shard into its run. Each step is safe to repeat, and a worker that dies
// between two of them costs work and nothing else:
//
//   1. put      the shard, under a name that holds unit, epoch and session: no other worker ever
//               writes it, so the same bytes may be put any number of times.
//               Dead before, during or after: at most a shard that no commit names (an orphan).
//   2. compare  size, and CRC-32C where the store computes one, with what was sent. A shard that is
//               not there, or is not what was sent, is put again; after `uploads` times the unit
//               fails with kDataLoss and the shard is deleted.
//               Dead here: an orphan.
//   3. commit   create commits/unit-N.json. From here on the shard may be part of the run, and is
//               deleted only if the store says that another's is.
//               Dead after the store took it: the unit is done, and whoever looks sees it.
//               No answer, also after all attempts: the unit fails for this worker and the shard
//               stays, since the commit may be there.
//               If the worker slept between 2 and 3, `thresher clean` may have taken the shard for
//               an orphan: it is looked at again, and put again if it is gone.
//   4. clear up a duplicate (another shard of the unit was committed before) is deleted. If that
//               fails, or the worker is dead: an orphan.
//
// Step 3 never comes before step 2 has seen the whole shard, so no commit names a shard that is not
// whole.

struct PublishPolicy {
  RetryPolicy retry = {};        // of each call
  int64_t uploads = 3;           // of a shard that does not arrive as it was sent
  int64_t late_ms = 30'000;      // a commit so long after step 2 is followed by another look
  TraceWriter* trace = nullptr;  // gets the spans "upload", "compare" and "commit"; null: none
};

// Steps 1 and 2 alone: `file` is `commit.shard` when this is ok.
Status UploadShard(Store& store, Clock& clock, const Commit& commit,
                   std::span<const std::byte> file, const PublishPolicy& policy = {});

struct Published {
  Ledger::CommitOutcome outcome = Ledger::CommitOutcome::kCommitted;
  // Not ok if our duplicate could not be deleted: the unit is done all the same, and the shard is
  // left for `thresher clean`.
  Status left_behind;
};

// Publishes `file` (borrowed) as `commit.shard`. `commit` is complete but for committed_unix_ms,
// which is taken from `clock`. `on_uploaded` may be empty; it is called with the time that the
// upload took, retries included, once step 2 is done.
// Errors: the store's, with the step and the shard's name in front; kDataLoss after step 2.
Result<Published> PublishShard(Store& store, Clock& clock, Ledger& ledger, Commit commit,
                               std::span<const std::byte> file, const PublishPolicy& policy = {},
                               const std::function<void(int64_t upload_ms)>& on_uploaded = {});

}  // namespace thresher

#endif  // THRESHER_EXTRACT_PUBLISH_H_
