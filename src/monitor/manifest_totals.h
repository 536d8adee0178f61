#ifndef THRESHER_MONITOR_MANIFEST_TOTALS_H_
#define THRESHER_MONITOR_MANIFEST_TOTALS_H_

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "extract/run_store.h"
#include "store/store.h"

namespace thresher {

// The sums at the beginning of manifest.json.
struct ManifestTotals {
  int64_t unit_count = 0;
  int64_t sample_count = 0;  // the rejected ones included
  int64_t rejected_count = 0;
  int64_t truncated_count = 0;
  int64_t token_count = 0;
  int64_t bytes = 0;
};

// Reads the first kilobytes of the manifest: a large run's is hundreds of megabytes long. Nothing
// if the run has none, or one of before an extension, or of another run.
Result<std::optional<ManifestTotals>> ReadManifestTotals(Store& store, const Run& run);

}  // namespace thresher

#endif  // THRESHER_MONITOR_MANIFEST_TOTALS_H_
