#ifndef THRESHER_VERIFY_COMMIT_CHECK_H_
#define THRESHER_VERIFY_COMMIT_CHECK_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "extract/run_store.h"
#include "shard/layout.h"
#include "work/records.h"

namespace thresher {

struct CommitFault {
  std::string tensor;  // where the fault concerns one tensor
  std::string what;
};

// Checks what a commit says against the run and the plan, without looking at its shard. `hooks`:
// the run's hook points and widths. `text`: the record as it is stored.
std::vector<CommitFault> CheckCommit(const Commit& commit, std::string_view text, int64_t unit,
                                     const Run& run, const std::vector<ShardHook>& hooks);

}  // namespace thresher

#endif  // THRESHER_VERIFY_COMMIT_CHECK_H_
