#ifndef THRESHER_VERIFY_INDEX_CHECK_H_
#define THRESHER_VERIFY_INDEX_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "verify/expected_shard.h"
#include "work/plan.h"

namespace thresher {

struct IndexFault {
  std::string tensor;
  std::string what;
};

// Checks what the small tensors of one shard mean, each by itself: sequence_offsets rises from 0 to
// the number of tokens, sample_index rises inside the unit's range, positions count from 0 in each
// sequence (checked if the offsets are right), token ids are not negative.
std::vector<IndexFault> CheckShardIndex(const ShardIndex& index, SampleRange samples,
                                        int64_t token_count);

}  // namespace thresher

#endif  // THRESHER_VERIFY_INDEX_CHECK_H_
