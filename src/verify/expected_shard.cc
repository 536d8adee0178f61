#include "verify/expected_shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/check.h"

namespace thresher {
namespace {

template <typename T>
Result<std::vector<T>> ReadVector(Store& store, const std::string& key, const TensorEntry& entry) {
  std::vector<T> values(static_cast<size_t>(entry.end - entry.begin) / sizeof(T));
  if (values.empty()) return values;
  RETURN_IF_ERROR(store.GetRange(key, entry.begin, std::as_writable_bytes(std::span(values))));
  return values;
}

// Of one token with everything that a shard holds about it.
__int128 BytesPerToken(const std::vector<ShardHook>& hooks, DType dtype) {
  __int128 bytes = __int128{2} * DTypeBytes(DType::kI32);
  for (const ShardHook& hook : hooks) {
    bytes += static_cast<__int128>(hook.width) * DTypeBytes(dtype);
    if (HasScale(dtype)) bytes += DTypeBytes(DType::kF32);
  }
  return bytes;
}

}  // namespace

const TensorEntry& ExpectedShard::Tensor(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorEntry& entry) { return entry.name == name; });
  THRESHER_CHECK(found != tensors.end());
  return *found;
}

Result<ExpectedShard> ExpectShard(const Commit& commit, const std::vector<ShardHook>& hooks,
                                  DType dtype) {
  // In 128 bits, since nothing is known about the numbers yet.
  const __int128 data_bytes =
      BytesPerToken(hooks, dtype) * commit.token_count +
      static_cast<__int128>(DTypeBytes(DType::kI64)) * (2 * __int128{commit.sequence_count} + 1);
  const __int128 header_bytes = commit.bytes - data_bytes;
  constexpr int64_t kLengthFieldBytes = 8;
  if (header_bytes <= kLengthFieldBytes ||
      header_bytes > kMaxSafetensorsHeaderBytes + kLengthFieldBytes) {
    return DataLoss(fmt::format("{} tokens in {} sequences do not make a shard of {} bytes",
                                commit.token_count, commit.sequence_count, commit.bytes));
  }
  // The header's length depends on its metadata; the order of the tensors does not.
  ShardLayout layout = LayOutShard({.hooks = hooks,
                                    .dtype = dtype,
                                    .token_count = commit.token_count,
                                    .sequence_count = commit.sequence_count,
                                    .metadata = {}});
  const int64_t shift = commit.bytes - layout.file_bytes;
  for (TensorEntry& entry : layout.tensors) {
    entry.begin += shift;
    entry.end += shift;
  }
  ExpectedShard expected;
  expected.dtype = dtype;
  expected.hooks = hooks;
  expected.tensors = std::move(layout.tensors);
  expected.data_begin = static_cast<int64_t>(header_bytes);
  expected.file_bytes = commit.bytes;
  expected.token_count = commit.token_count;
  expected.sequence_count = commit.sequence_count;
  return expected;
}

Result<std::vector<ShardHook>> HooksOfCommit(const RunSpec& spec, const Commit& commit) {
  std::vector<ShardHook> hooks;
  if (commit.token_count == 0) return hooks;
  for (const std::string& name : spec.capture.hooks) {
    const auto found =
        std::find_if(commit.statistics.begin(), commit.statistics.end(),
                     [&](const HookStatistics& statistics) { return statistics.name == name; });
    if (found == commit.statistics.end()) {
      return DataLoss("the commit has no statistics of hook point " + name);
    }
    const int64_t values = found->statistics.count;
    if (values % commit.token_count != 0) {
      return DataLoss(
          fmt::format("statistics of {}: {} values are no whole number for each of {} "
                      "tokens",
                      name, values, commit.token_count));
    }
    hooks.push_back({name, values / commit.token_count});
  }
  return hooks;
}

std::vector<int64_t> SequencesWithRows(const ShardIndex& index) {
  std::vector<int64_t> sequences;
  for (size_t sequence = 0; sequence + 1 < index.sequence_offsets.size(); ++sequence) {
    if (index.sequence_offsets[sequence] == index.sequence_offsets[sequence + 1]) continue;
    sequences.push_back(static_cast<int64_t>(sequence));
  }
  return sequences;
}

Result<ShardIndex> ReadShardIndex(Store& store, const std::string& key,
                                  const ExpectedShard& expected) {
  ShardIndex index;
  ASSIGN_OR_RETURN(index.sample_index,
                   ReadVector<int64_t>(store, key, expected.Tensor("sample_index")));
  ASSIGN_OR_RETURN(index.sequence_offsets,
                   ReadVector<int64_t>(store, key, expected.Tensor("sequence_offsets")));
  ASSIGN_OR_RETURN(index.token_ids, ReadVector<int32_t>(store, key, expected.Tensor("token_ids")));
  ASSIGN_OR_RETURN(index.positions, ReadVector<int32_t>(store, key, expected.Tensor("positions")));
  return index;
}

}  // namespace thresher
