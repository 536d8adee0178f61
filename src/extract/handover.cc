#include "extract/handover.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "extract/arena.h"
#include "work/keys.h"

namespace thresher {

Result<int64_t> LoadRows(Store& store, const std::string& record_key, const ShardFormat& format,
                         const UnitJob& job, ShardBuilder& builder) {
  ASSIGN_OR_RETURN(const std::string text, store.GetText(record_key));
  ASSIGN_OR_RETURN(const Commit record, Commit::FromText(text, record_key));
  const int64_t sequences = record.sequence_count;
  const bool ends_with_a_batch =
      std::any_of(job.batches.begin(), job.batches.end(),
                  [&](const BatchRange& batch) { return batch.end_sequence == sequences; });
  if (record.run_fingerprint != format.run_fingerprint || record.unit != job.unit ||
      !ends_with_a_batch) {
    return 0;
  }
  UnitJob prefix_job = PrefixOf(job, sequences);
  prefix_job.epoch = record.epoch;
  ShardBuilder prefix(format, prefix_job);
  if (prefix.file_bytes() != record.bytes ||
      prefix_job.token_count() != record.forward_token_count) {
    return 0;
  }
  Arena memory;
  RETURN_IF_ERROR(memory.Reserve(record.bytes));
  const std::span<std::byte> file(memory.data(), static_cast<size_t>(record.bytes));
  RETURN_IF_ERROR(store.GetRange(record.shard, 0, file));
  // The header and the small tensors hold the token ids of the rows and their positions, so the
  // checksum of a file built from our own job fits only if the other worker saw the same unit.
  if (FormatCrc32c(ExtendCrc32c(0, file)) != record.checksum) return 0;
  prefix.SetMemory(memory.data());
  builder.CopyRows(prefix, prefix_job.row_count());
  for (const BatchRange& batch : prefix_job.batches) {
    prefix.Absorb(job.row_offsets[static_cast<size_t>(batch.end_sequence)]);
  }
  prefix.Finish();
  return prefix.DescribeContent().checksum == record.checksum ? sequences : 0;
}

Status SaveHandover(Store& store, const ShardFormat& format, const UnitJob& job,
                    const ShardBuilder& builder, int64_t sequence_count) {
  const UnitJob prefix_job = PrefixOf(job, sequence_count);
  ShardBuilder prefix(format, prefix_job);
  Arena memory;
  RETURN_IF_ERROR(memory.Reserve(prefix.file_bytes()));
  prefix.SetMemory(memory.data());
  prefix.CopyRows(builder, prefix_job.row_count());
  prefix.Absorb(prefix_job.row_count());
  prefix.Finish();
  Commit record = prefix.DescribeContent();
  record.shard = HandoverShardKey(job.unit, job.epoch);
  RETURN_IF_ERROR(store.Put(record.shard, prefix.file()));
  return store.Put(HandoverKey(job.unit, job.epoch), AsBytes(record.ToText()));
}

Result<int64_t> LoadHandover(Store& store, const ShardFormat& format, const UnitJob& job,
                             ShardBuilder& builder) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, HandoverPrefix(job.unit)));
  int64_t best = 0;
  for (const ObjectInfo& object : objects) {
    if (!object.key.ends_with(".json")) continue;
    const Result<int64_t> sequences = LoadRows(store, object.key, format, job, builder);
    // A broken handover costs work and nothing else.
    if (sequences.ok()) best = std::max(best, *sequences);
  }
  return best;
}

Status DeleteHandovers(Store& store, int64_t unit) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, HandoverPrefix(unit)));
  for (const ObjectInfo& object : objects) RETURN_IF_ERROR(store.Delete(object.key));
  return OkStatus();
}

}  // namespace thresher
