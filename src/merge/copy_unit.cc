#include "merge/copy_unit.h"

#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "extract/publish.h"
#include "shard/layout.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr std::string_view kSampleIndex = "sample_index";

// A finished shard in memory.
struct BuiltShard {
  std::vector<std::byte> file;
  Commit commit;
};

// The layout of the same tensors under another header.
Result<ShardLayout> LayOutAgain(const MergePart& part, const PartShard& shard,
                                std::map<std::string, std::string> metadata) {
  const RunSpec& spec = part.run.spec;
  const std::optional<DType> dtype = StoredDTypeFromName(spec.capture.dtype);
  if (!dtype) return DataLoss("run.json: '" + spec.capture.dtype + "' is no stored dtype");
  ShardSpec shape{.hooks = {},
                  .dtype = *dtype,
                  .token_count = shard.commit.token_count,
                  .sequence_count = shard.commit.sequence_count,
                  .metadata = std::move(metadata)};
  for (const std::string& hook : spec.capture.hooks) {
    const TensorEntry* entry = shard.header.Find(hook);
    if (entry == nullptr || entry->shape.size() != 2) {
      return DataLoss("has no tensor [tokens, width] " + hook);
    }
    shape.hooks.push_back({hook, entry->shape[1]});
  }
  ShardLayout layout = LayOutShard(shape);
  bool fits = layout.tensors.size() == shard.header.tensors.size();
  for (size_t i = 0; fits && i < layout.tensors.size(); ++i) {
    const TensorEntry& found = shard.header.tensors[i];
    fits = found.name == layout.tensors[i].name && found.dtype == layout.tensors[i].dtype &&
           found.shape == layout.tensors[i].shape;
  }
  if (!fits) return DataLoss("the shard's tensors are not those that run.json and commit say");
  return layout;
}

void ShiftSamples(std::span<std::byte> tensor, int64_t first_sample) {
  for (size_t at = 0; at < tensor.size(); at += sizeof(int64_t)) {
    int64_t sample = 0;
    std::memcpy(&sample, tensor.data() + at, sizeof(sample));
    sample += first_sample;
    std::memcpy(tensor.data() + at, &sample, sizeof(sample));
  }
}

Result<BuiltShard> Build(const MergePart& part, const PartShard& shard, std::string fingerprint) {
  BuiltShard built{.file = {}, .commit = shard.commit};
  Commit& commit = built.commit;
  commit.run_fingerprint = std::move(fingerprint);
  commit.unit += part.first_unit;
  commit.first_sample += part.first_sample;
  for (RejectedSample& rejected : commit.rejected) rejected.sample += part.first_sample;
  commit.shard = ShardKey(commit.worker_id, commit.unit, commit.epoch, commit.session);

  std::map<std::string, std::string> metadata = shard.header.metadata;
  metadata["run"] = commit.run_fingerprint;
  metadata["unit"] = std::to_string(commit.unit);
  metadata["first_sample"] = std::to_string(commit.first_sample);
  ASSIGN_OR_RETURN(const ShardLayout layout, LayOutAgain(part, shard, std::move(metadata)));
  built.file.resize(static_cast<size_t>(layout.file_bytes));
  std::memcpy(built.file.data(), layout.header.data(), layout.header.size());
  const std::span<std::byte> data = std::span(built.file).subspan(layout.header.size());
  RETURN_IF_ERROR(part.store->GetRange(shard.commit.shard, shard.header.data_begin, data));

  uint32_t whole = ExtendCrc32c(0, std::span(built.file).first(layout.header.size()));
  commit.bytes = layout.file_bytes;
  commit.header_checksum = FormatCrc32c(whole);
  commit.tensors.clear();
  for (const TensorEntry& entry : layout.tensors) {
    const std::span<std::byte> tensor = std::span(built.file)
                                            .subspan(static_cast<size_t>(entry.begin),
                                                     static_cast<size_t>(entry.end - entry.begin));
    RETURN_IF_ERROR(CheckTensor(shard.commit, entry.name, tensor));
    if (entry.name == kSampleIndex) ShiftSamples(tensor, part.first_sample);
    const uint32_t crc = ExtendCrc32c(0, tensor);
    commit.tensors.push_back({entry.name, FormatCrc32c(crc)});
    whole = CombineCrc32c(whole, crc, static_cast<int64_t>(tensor.size()));
  }
  commit.checksum = FormatCrc32c(whole);
  return built;
}

}  // namespace

Status CopyUnit(const MergePart& part, int64_t unit, const MergeTarget& target) {
  ASSIGN_OR_RETURN(const PartShard shard, OpenPartShard(part, unit));
  const Result<BuiltShard> built = Build(part, shard, target.run_fingerprint);
  if (!built.ok()) {
    return built.status().WithContext(part.url + ": " + UnitName(unit) + ", " + shard.commit.shard);
  }
  RETURN_IF_ERROR(UploadShard(target.store, target.clock, built->commit, built->file));
  const std::string key = CommitKey(built->commit.unit);
  ASSIGN_OR_RETURN(const CreatedRecord created,
                   CreateRecord(target.store, key, built->commit.ToText()));
  if (created.creation == Creation::kOurs) return OkStatus();
  return DataLoss(key + " in " + target.store.url() + " is not what " + part.url +
                  " gives: was the part changed since the merge began?");
}

}  // namespace thresher
