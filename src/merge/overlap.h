#ifndef THRESHER_MERGE_OVERLAP_H_
#define THRESHER_MERGE_OVERLAP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "merge/part_shard.h"

namespace thresher {

// A sample of one part that another part has, too.
struct OverlappingSample {
  size_t part = 0;
  int64_t sample = 0;  // in that part
  size_t earlier_part = 0;
  int64_t earlier_sample = 0;
};

struct Overlap {
  int64_t count = 0;  // samples of later parts that an earlier part has
  OverlappingSample first;
};

// Finds samples that two parts have in common: equal key, stored token ids and positions. Equal
// samples inside one part are that part's own business. Reads the small tensors of every shard,
// `connections` at a time, and needs 24 bytes of memory a sample. `on_shard` is called after each
// shard, from several threads.
Result<Overlap> FindOverlap(const std::vector<MergePart>& parts, int64_t connections,
                            const std::function<void()>& on_shard);

}  // namespace thresher

#endif  // THRESHER_MERGE_OVERLAP_H_
