#ifndef THRESHER_VERIFY_INDEX_CHECK_H_
#define THRESHER_VERIFY_INDEX_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "verify/expected_shard.h"
#include "work/plan.h"
#include "work/records.h"

namespace thresher {

struct IndexFault {
  std::string tensor;
  std::string what;
};

// What the small tensors of a shard may look like.
struct IndexRules {
  SampleRange samples;  // of the unit
  int64_t row_count = 0;
  bool all_tokens_are_stored = true;
  bool samples_may_repeat = false;  // some are split into several sequences

  // As the commit's counts tell.
  static IndexRules Of(const Commit& commit, SampleRange samples);
};

// Checks what the small tensors of one shard mean, each by itself: sequence_offsets goes from 0 to
// the number of rows, sample_index rises inside the unit's range, positions count from 0 in each
// sequence, or rise where only some tokens are stored (checked if the offsets are right), token ids
// are not negative.
std::vector<IndexFault> CheckShardIndex(const ShardIndex& index, const IndexRules& rules);

}  // namespace thresher

#endif  // THRESHER_VERIFY_INDEX_CHECK_H_
