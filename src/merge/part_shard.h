#ifndef THRESHER_MERGE_PART_SHARD_H_
#define THRESHER_MERGE_PART_SHARD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "extract/run_store.h"
#include "shard/safetensors.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

// A run that is to be merged, and its place in the merged run.
struct MergePart {
  std::string url;
  Store* store = nullptr;  // borrowed
  Run run;
  std::vector<int64_t> committed;  // ascending
  std::vector<int64_t> set_aside;  // ascending, not committed
  int64_t first_unit = 0;
  int64_t first_sample = 0;
};

// A committed shard of a part: its record and its header, which fit each other.
struct PartShard {
  Commit commit;
  SafetensorsHeader header;
};

// Reads the commit and the shard's header and compares checksums. kDataLoss, with the unit's name
// in front, if something is damaged.
Result<PartShard> OpenPartShard(const MergePart& part, int64_t unit);

// Which row of a shard belongs to which token of which sample.
struct PartShardIndex {
  std::vector<int64_t> sample_index;      // [sequences]
  std::vector<int64_t> sequence_offsets;  // [sequences + 1]
  std::vector<int32_t> token_ids;         // [tokens]
  std::vector<int32_t> positions;         // [tokens]
  std::vector<std::string> sample_keys;   // [sequences]
};

// Reads and compares with their checksums.
Result<PartShardIndex> ReadPartShardIndex(const MergePart& part, const PartShard& shard);

// kDataLoss unless the bytes of `tensor` have the checksum that the commit gives.
Status CheckTensor(const Commit& commit, const std::string& tensor,
                   std::span<const std::byte> bytes);

}  // namespace thresher

#endif  // THRESHER_MERGE_PART_SHARD_H_
