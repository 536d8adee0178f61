#ifndef THRESHER_VERIFY_SHARD_CHECK_H_
#define THRESHER_VERIFY_SHARD_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"
#include "verify/expected_shard.h"
#include "verify/finding.h"
#include "work/plan.h"
#include "work/records.h"

namespace thresher {

// Checks one shard against its commit, every byte of it: size, header, checksum of each tensor and
// of the whole, and that offsets, positions, sample indices and statistics mean what the format
// says. Reads each tensor in pieces of kPieceBytes; beside that it holds the small tensors.
struct ShardToCheck {
  const Commit& commit;
  const ExpectedShard& expected;
  SampleRange samples;  // of the unit
};

inline constexpr int64_t kPieceBytes = int64_t{8} << 20;

struct ShardVerdict {
  // The small tensors, if their checksums fit and they are consistent.
  std::optional<ShardIndex> index;
  // [sequences]; nothing if the header is damaged or has no such list.
  std::optional<std::vector<std::string>> sample_keys;
  bool hooks_are_whole = false;  // every hook point's tensor, scales included, fits its checksum
};

// `on_bytes` is told how many bytes were read, piece by piece. `buffer` is working memory, kept
// between calls. Whatever is wrong goes to `log`.
ShardVerdict CheckShard(Store& store, const ShardToCheck& shard, FindingLog& log,
                        const std::function<void(int64_t)>& on_bytes,
                        std::vector<std::byte>& buffer);

}  // namespace thresher

#endif  // THRESHER_VERIFY_SHARD_CHECK_H_
