#ifndef THRESHER_DASHBOARD_RUN_LIST_H_
#define THRESHER_DASHBOARD_RUN_LIST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace thresher {

struct FoundRun {
  std::string name;  // folder below the store's; empty: the store's own folder is a run
  int64_t started_ms = 0;
};

inline constexpr size_t kMostListedRuns = 200;

// The runs in the store's folder: itself, or else the folders right below it that hold a run.json;
// ascending by name, at most kMostListedRuns. Looks at one object of each folder, not at all.
Result<std::vector<FoundRun>> FindRuns(Store& store);

}  // namespace thresher

#endif  // THRESHER_DASHBOARD_RUN_LIST_H_
