#ifndef THRESHER_SHARD_LAYOUT_H_
#define THRESHER_SHARD_LAYOUT_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "shard/safetensors.h"

namespace thresher {

// The hook points of a shard, as names and widths, in the order of the file.
struct ShardHook {
  std::string name;  // "blocks.3.hook_resid_post"
  int64_t width = 0;
};

// What a shard's layout depends on; known as soon as the unit is tokenised.
struct ShardSpec {
  std::vector<ShardHook> hooks;
  DType dtype = DType::kBf16;
  int64_t token_count = 0;
  int64_t sequence_count = 0;
  std::map<std::string, std::string> metadata;
};

// Where each tensor of a shard lies in the finished file. Order: hook points [tokens, width]; then,
// for dtypes with a scale, "NAME.scale" f32 [tokens] each; then sample_index int64 [sequences],
// sequence_offsets int64 [sequences + 1], token_ids int32 [tokens], positions int32 [tokens].
struct ShardLayout {
  std::string header;                // the file's first bytes, length field included
  std::vector<TensorEntry> tensors;  // in file order
  int64_t file_bytes = 0;
};

ShardLayout LayOutShard(const ShardSpec& spec);

}  // namespace thresher

#endif  // THRESHER_SHARD_LAYOUT_H_
