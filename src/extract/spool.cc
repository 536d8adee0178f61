#include "extract/spool.h"

#include <optional>
#include <string_view>
#include <utility>

#include "extract/handover.h"
#include "extract/run_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr std::string_view kShardEnding = ".safetensors";
constexpr std::string_view kRecordEnding = ".json";

std::string RecordKeyOf(std::string_view shard_key) {
  return std::string(shard_key.substr(0, shard_key.size() - kShardEnding.size())) +
         std::string(kRecordEnding);
}

std::string ShardKeyOf(std::string_view record_key) {
  return std::string(record_key.substr(0, record_key.size() - kRecordEnding.size())) +
         std::string(kShardEnding);
}

bool IsRecordKey(std::string_view key) {
  return key.ends_with(kRecordEnding) && IsShardKey(ShardKeyOf(key));
}

}  // namespace

Spool::Spool(Store& folder, Options options, const Logger& log)
    : folder_(folder), options_(options), log_(log) {}

Status Spool::Open(Store& run_store, const std::string& run_fingerprint) {
  const Result<ObjectInfo> run = folder_.Stat(kRunKey);
  if (run.ok()) {
    return FailedPrecondition("--keep-local: " + folder_.url() +
                              " is the folder of a run; copies need a folder of their own");
  }
  if (run.status().code() != Code::kNotFound) return run.status().WithContext("--keep-local");
  const Result<std::vector<ObjectInfo>> objects = ListAll(folder_, "tpu_");
  if (!objects.ok()) return objects.status().WithContext("--keep-local");
  for (const ObjectInfo& object : *objects) {
    if (!IsRecordKey(object.key)) continue;
    const Result<std::string> text = folder_.GetText(object.key);
    const Result<Commit> record =
        text.ok() ? Commit::FromText(*text, object.key) : Result<Commit>(text.status());
    if (!record.ok() || record->run_fingerprint != run_fingerprint) continue;
    {
      std::lock_guard lock(mutex_);
      records_of_[record->unit].push_back(object.key);
    }
    const Result<Commit> committed = ReadCommit(run_store, record->unit);
    if (committed.ok()) Settle(record->unit, committed->shard);
  }
  return OkStatus();
}

Status Spool::Write(const std::string& record_key, const Commit& commit,
                    std::span<const std::byte> file) {
  RETURN_IF_ERROR(folder_.Put(record_key, AsBytes(commit.ToText())));
  Status status = folder_.Put(commit.shard, file);
  if (!status.ok()) (void)folder_.Delete(record_key);
  return status;
}

void Spool::Save(const Commit& commit, std::span<const std::byte> file) {
  {
    std::lock_guard lock(mutex_);
    if (broken_) return;
  }
  const std::string record_key = RecordKeyOf(commit.shard);
  const Status written = Write(record_key, commit, file);
  if (!written.ok()) return Tell(written);
  std::lock_guard lock(mutex_);
  records_of_[commit.unit].push_back(record_key);
}

void Spool::Settle(int64_t unit, const std::string& committed_shard) {
  for (const std::string& record_key : RecordsOf(unit)) {
    const std::string shard_key = ShardKeyOf(record_key);
    const bool stays = shard_key == committed_shard && !options_.delete_after_upload;
    Status deleted;
    if (!stays) deleted = folder_.Delete(shard_key);
    if (deleted.ok()) deleted = folder_.Delete(record_key);
    if (!deleted.ok()) Tell(deleted);
  }
  std::lock_guard lock(mutex_);
  records_of_.erase(unit);
}

int64_t Spool::Load(const ShardFormat& format, const UnitJob& job, ShardBuilder& builder) {
  for (const std::string& record_key : RecordsOf(job.unit)) {
    const Result<int64_t> sequences = LoadRows(folder_, record_key, format, job, builder);
    // One that is damaged costs work and nothing else.
    if (sequences.ok() && *sequences == job.sequence_count()) return *sequences;
  }
  return 0;
}

std::vector<std::string> Spool::RecordsOf(int64_t unit) const {
  std::lock_guard lock(mutex_);
  const auto found = records_of_.find(unit);
  return found == records_of_.end() ? std::vector<std::string>() : found->second;
}

void Spool::Tell(const Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (broken_) return;
    broken_ = true;
  }
  log_.Warning("no more local copies in " + folder_.url() + ": " + status.message() +
               "; the run goes on without them");
}

}  // namespace thresher
