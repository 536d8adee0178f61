#ifndef THRESHER_EXTRACT_COMMIT_SCAN_H_
#define THRESHER_EXTRACT_COMMIT_SCAN_H_

#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

// Reads the commits of `units`, `readers` at the same time, and calls `visit` with each in the
// order of `units`, on the calling thread; with the error where one cannot be read. Memory does not
// grow with the number of units.
void ScanCommits(Store& store, std::span<const int64_t> units,
                 const std::function<void(int64_t unit, const Result<Commit>& commit)>& visit,
                 int readers = 16);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_COMMIT_SCAN_H_
