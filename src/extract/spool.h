#ifndef THRESHER_EXTRACT_SPOOL_H_
#define THRESHER_EXTRACT_SPOOL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/logger.h"
#include "base/result.h"
#include "extract/shard_builder.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

// A folder of this machine in which finished shards are kept, only where somebody asks for it
// (--keep-local): copies of what was committed, and shards whose upload has failed, which a later
// session uploads without computing them again.
//
// The names are those of the run: tpu_5/unit-000123-e1-SESSION.safetensors. While a shard waits for
// its commit its record lies beside it, with the ending .json:
//   1. write the record, then the shard      dead in between: a record that fits nothing
//   2. upload and commit                     dead or failed here: what Load finds
//   3. delete the shard if it is not to stay, then the record
// A shard without a record is therefore a copy of what is committed. Nothing here can fail a unit:
// the first error is told, and the spool is then left alone.
// Thread-safe. Several processes may share a folder.
class Spool {
 public:
  struct Options {
    bool delete_after_upload = false;  // else committed shards stay
  };

  // `folder` and `log`, which hears of what does not work, are borrowed.
  Spool(Store& folder, Options options, const Logger& log);

  // Looks for what earlier sessions left of this run, and clears away what `run_store` says has
  // been committed since. kFailedPrecondition if the folder is that of a run. Call once, first.
  Status Open(Store& run_store, const std::string& run_fingerprint);

  // Keeps the shard until Settle.
  void Save(const Commit& commit, std::span<const std::byte> file);

  // The unit is committed, with the shard of that name.
  void Settle(int64_t unit, const std::string& committed_shard);

  // Copies the rows of a whole shard of the job's unit into `builder`, if one was left whose
  // checksum holds. The number of sequences that are now there: all, or 0.
  int64_t Load(const ShardFormat& format, const UnitJob& job, ShardBuilder& builder);

 private:
  Status Write(const std::string& record_key, const Commit& commit,
               std::span<const std::byte> file);
  std::vector<std::string> RecordsOf(int64_t unit) const;
  void Tell(const Status& status);

  Store& folder_;
  const Options options_;
  const Logger& log_;
  mutable std::mutex mutex_;
  bool broken_ = false;                                     // guarded by mutex_
  std::map<int64_t, std::vector<std::string>> records_of_;  // unit -> keys; guarded by mutex_
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_SPOOL_H_
