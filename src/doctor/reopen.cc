#include "doctor/reopen.h"

#include <fmt/format.h>

#include "work/keys.h"

namespace thresher {

Status ReopenCommittedUnit(Store& store, const Run& run, int64_t unit) {
  if (unit < 0 || unit >= run.plan.unit_count()) {
    return InvalidArgument(
        fmt::format("the run has units 0 to {}, not {}", run.plan.unit_count() - 1, unit));
  }
  const Result<ObjectInfo> commit = store.Stat(CommitKey(unit));
  if (!commit.ok()) return commit.status().WithContext(fmt::format("unit {}", unit));
  RETURN_IF_ERROR(store.Delete(kManifestKey));
  return store.Delete(CommitKey(unit));
}

}  // namespace thresher
