#include "monitor/commit_scan.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "engine/cpu/parallel.h"
#include "extract/run_store.h"

namespace thresher {

Status ScanCommits(Store& store, std::span<const int64_t> units,
                   const std::function<void(int64_t unit, const Result<Commit>& commit)>& visit) {
  // The time goes into waiting for the store, not into computing.
  constexpr int kReaders = 16;
  constexpr size_t kRound = 1024;
  for (size_t begin = 0; begin < units.size(); begin += kRound) {
    const std::span<const int64_t> round =
        units.subspan(begin, std::min(kRound, units.size() - begin));
    std::vector<std::optional<Result<Commit>>> commits(round.size());
    RETURN_IF_ERROR(
        ParallelFor(kReaders, static_cast<int64_t>(round.size()), [&](int64_t index, int) {
          const auto slot = static_cast<size_t>(index);
          commits[slot] = ReadCommit(store, round[slot]);
        }));
    for (size_t slot = 0; slot < round.size(); ++slot) visit(round[slot], *commits[slot]);
  }
  return OkStatus();
}

}  // namespace thresher
