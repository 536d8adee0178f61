#ifndef THRESHER_VERIFY_EXPECTED_SHARD_H_
#define THRESHER_VERIFY_EXPECTED_SHARD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "shard/layout.h"
#include "shard/safetensors.h"
#include "store/store.h"
#include "work/records.h"
#include "work/run_spec.h"

namespace thresher {

// What a shard must look like according to run.json and the unit's commit alone, so that every
// tensor can be checked even where the shard's own header is damaged.
struct ExpectedShard {
  DType dtype = DType::kBf16;
  std::vector<ShardHook> hooks;
  std::vector<TensorEntry> tensors;  // in file order, with offsets from the start of the file
  int64_t data_begin = 0;            // = length of the header
  int64_t file_bytes = 0;
  int64_t token_count = 0;  // tokens whose rows are stored
  int64_t sequence_count = 0;

  // Tensors with one row for each stored token come first: hook points, then their scales.
  size_t scale_tensor(size_t hook) const { return hooks.size() + hook; }
  size_t row_tensor_count() const { return hooks.size() * (HasScale(dtype) ? 2 : 1); }
  const TensorEntry& Tensor(std::string_view name) const;
};

// `hooks` as in run.json. kDataLoss if the commit's counts and bytes cannot belong together.
Result<ExpectedShard> ExpectShard(const Commit& commit, const std::vector<ShardHook>& hooks,
                                  DType dtype);

// The widths of the hook points of run.json as a commit's statistics tell them (values / tokens);
// empty if it stores no token. kDataLoss if they are not whole numbers or a hook point is missing.
Result<std::vector<ShardHook>> HooksOfCommit(const RunSpec& spec, const Commit& commit);

// The tensors of a shard that say which row belongs to which token of which sample.
struct ShardIndex {
  std::vector<int64_t> sample_index;
  std::vector<int64_t> sequence_offsets;
  std::vector<int32_t> token_ids;
  std::vector<int32_t> positions;
};

// The sequences of which a row is stored, ascending. The index must be consistent.
std::vector<int64_t> SequencesWithRows(const ShardIndex& index);

// Reads them as they are stored; checks nothing.
Result<ShardIndex> ReadShardIndex(Store& store, const std::string& key,
                                  const ExpectedShard& expected);

}  // namespace thresher

#endif  // THRESHER_VERIFY_EXPECTED_SHARD_H_
