#include "extract/commit_scan.h"

#include "extract/read_in_order.h"
#include "extract/run_store.h"

namespace thresher {

void ScanCommits(Store& store, std::span<const int64_t> units,
                 const std::function<void(int64_t unit, const Result<Commit>& commit)>& visit,
                 int readers) {
  const auto unit_at = [&](int64_t index) { return units[static_cast<size_t>(index)]; };
  ReadInOrder<Commit>(
      static_cast<int64_t>(units.size()), readers,
      [&](int64_t index) { return ReadCommit(store, unit_at(index)); },
      [&](int64_t index, const Result<Commit>& commit) { visit(unit_at(index), commit); });
}

}  // namespace thresher
