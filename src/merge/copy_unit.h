#ifndef THRESHER_MERGE_COPY_UNIT_H_
#define THRESHER_MERGE_COPY_UNIT_H_

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "merge/part_shard.h"
#include "store/store.h"

namespace thresher {

// Where a unit goes.
struct MergeTarget {
  Store& store;
  Clock& clock;
  std::string run_fingerprint;
};

// Makes unit `unit` of `part` a unit of the merged run, with its new number and sample indices:
// builds the shard anew around the same rows, which are compared with their checksums on the way,
// uploads it, compares, and creates the commit. Worker, epoch and session stay, so the bytes are
// the same whoever does it and however often. Needs memory for one shard.
// kDataLoss if the part is damaged.
Status CopyUnit(const MergePart& part, int64_t unit, const MergeTarget& target);

}  // namespace thresher

#endif  // THRESHER_MERGE_COPY_UNIT_H_
