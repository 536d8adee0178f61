#include "merge/part_shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/crc32c.h"
#include "work/keys.h"

namespace thresher {
namespace {

Status CheckSum(const std::string& what, const std::string& expected,
                std::span<const std::byte> bytes) {
  const std::string found = FormatCrc32c(ExtendCrc32c(0, bytes));
  if (found == expected) return OkStatus();
  return DataLoss(fmt::format("{}: its commit says {}, found {}", what, expected, found));
}

Result<PartShard> Open(const MergePart& part, int64_t unit) {
  PartShard shard;
  ASSIGN_OR_RETURN(shard.commit, ReadCommit(*part.store, unit));
  const Commit& commit = shard.commit;
  const SampleRange samples = part.run.plan.Samples(unit);
  if (commit.run_fingerprint != part.run.fingerprint || commit.unit != unit ||
      commit.first_sample != samples.first || commit.sample_count != samples.count) {
    return DataLoss(CommitKey(unit) + ": does not fit run.json and the plan");
  }
  std::vector<std::byte> bytes(std::min<size_t>(8, static_cast<size_t>(commit.bytes)));
  RETURN_IF_ERROR(part.store->GetRange(commit.shard, 0, bytes));
  ASSIGN_OR_RETURN(const int64_t data_begin, SafetensorsDataBegin(bytes, commit.bytes));
  bytes.resize(static_cast<size_t>(data_begin));
  RETURN_IF_ERROR(part.store->GetRange(commit.shard, 0, bytes));
  RETURN_IF_ERROR(CheckSum("header", commit.header_checksum, bytes));
  ASSIGN_OR_RETURN(shard.header, ParseSafetensorsHeader(bytes, commit.bytes));
  return shard;
}

template <typename T>
Result<std::vector<T>> ReadTensor(const MergePart& part, const PartShard& shard, const char* name) {
  const TensorEntry* entry = shard.header.Find(name);
  if (entry == nullptr) return DataLoss(std::string("has no tensor ") + name);
  std::vector<T> values(static_cast<size_t>(entry->end - entry->begin) / sizeof(T));
  const auto bytes = std::as_writable_bytes(std::span(values));
  if (!values.empty()) {
    RETURN_IF_ERROR(part.store->GetRange(shard.commit.shard, entry->begin, bytes));
  }
  RETURN_IF_ERROR(CheckTensor(shard.commit, name, bytes));
  return values;
}

Result<PartShardIndex> ReadIndex(const MergePart& part, const PartShard& shard) {
  PartShardIndex index;
  ASSIGN_OR_RETURN(index.sample_index, ReadTensor<int64_t>(part, shard, "sample_index"));
  ASSIGN_OR_RETURN(index.sequence_offsets, ReadTensor<int64_t>(part, shard, "sequence_offsets"));
  ASSIGN_OR_RETURN(index.token_ids, ReadTensor<int32_t>(part, shard, "token_ids"));
  ASSIGN_OR_RETURN(index.positions, ReadTensor<int32_t>(part, shard, "positions"));
  const std::vector<int64_t>& offsets = index.sequence_offsets;
  const bool fits = offsets.size() == index.sample_index.size() + 1 && offsets.front() == 0 &&
                    std::is_sorted(offsets.begin(), offsets.end()) &&
                    offsets.back() == static_cast<int64_t>(index.token_ids.size()) &&
                    index.positions.size() == index.token_ids.size();
  if (!fits) return DataLoss("sequence_offsets do not fit the other tensors");
  const auto found = shard.header.metadata.find("sample_keys");
  const auto keys = nlohmann::json::parse(found == shard.header.metadata.end() ? "" : found->second,
                                          nullptr, false);
  if (!keys.is_array() || keys.size() != index.sample_index.size()) {
    return DataLoss("metadata sample_keys: expected a list of one key for each sequence");
  }
  for (const nlohmann::json& key : keys) {
    index.sample_keys.push_back(key.is_string() ? key.get<std::string>() : "");
  }
  return index;
}

}  // namespace

Status CheckTensor(const Commit& commit, const std::string& tensor,
                   std::span<const std::byte> bytes) {
  const auto record =
      std::find_if(commit.tensors.begin(), commit.tensors.end(),
                   [&](const TensorRecord& candidate) { return candidate.name == tensor; });
  if (record == commit.tensors.end()) return DataLoss("its commit does not know tensor " + tensor);
  return CheckSum("tensor " + tensor, record->checksum, bytes);
}

Result<PartShard> OpenPartShard(const MergePart& part, int64_t unit) {
  Result<PartShard> shard = Open(part, unit);
  if (!shard.ok()) return shard.status().WithContext(part.url + ": " + UnitName(unit));
  return shard;
}

Result<PartShardIndex> ReadPartShardIndex(const MergePart& part, const PartShard& shard) {
  Result<PartShardIndex> index = ReadIndex(part, shard);
  if (!index.ok()) {
    return index.status().WithContext(part.url + ": " + UnitName(shard.commit.unit));
  }
  return index;
}

}  // namespace thresher
