#ifndef THRESHER_DOCTOR_REOPEN_H_
#define THRESHER_DOCTOR_REOPEN_H_

#include <cstdint>

#include "base/result.h"
#include "extract/run_store.h"
#include "store/store.h"

namespace thresher {

// Makes a committed unit open again, so that the next worker makes it anew: for damaged shards. The
// manifest goes first, so that none ever lists a commit that is gone. kInvalidArgument if the run
// has no such unit, kNotFound if the unit is not committed.
Status ReopenCommittedUnit(Store& store, const Run& run, int64_t unit);

}  // namespace thresher

#endif  // THRESHER_DOCTOR_REOPEN_H_
