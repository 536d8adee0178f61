#ifndef THRESHER_DOCTOR_CLEANING_H_
#define THRESHER_DOCTOR_CLEANING_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "extract/run_store.h"
#include "store/store.h"

namespace thresher {

// What dead workers leave in a run's folder. All of it is harmless; it costs room.
//
// A shard may be removed if its maker can no longer commit it:
//   - its unit is committed with another shard: whoever offers this one is refused. The commit is
//     read again right before;
//   - its unit is not committed, and its session has said "stopped", which is the last thing that a
//     worker writes; or has been silent for longer than `older_than_ms`: neither its heartbeat, nor
//     a claim of the unit, nor the shard itself is younger. All of these are asked again right
//     before. Should a commit of this very shard appear in between all the same (the worker slept
//     for longer than `older_than_ms` and woke at this moment), the unit is opened again at once.
// Nothing younger than `older_than_ms` is ever touched. Ages are in the store's own time: that of
// an object written at the beginning, also when only looking, and deleted again at once; where that
// is not allowed it stays, as a problem, and is a leftover ("probe") of later cleanings. What
// cannot be read is kept.

enum class LeftoverKind { kShard, kHandover, kHeartbeat, kProbe, kTemporary };

// "shard", "handover", "heartbeat", "probe", "temporary file".
std::string_view LeftoverKindName(LeftoverKind kind);

struct Leftover {
  LeftoverKind kind = LeftoverKind::kShard;
  std::string key;  // kTemporary: a path relative to the run's folder
  int64_t bytes = 0;
  int64_t modified_ms = 0;  // store time
  std::string why;          // "unit 17 is committed with another shard"
};

struct CleanOptions {
  bool remove = false;  // false: only look
  int64_t older_than_ms = 3'600'000;
};

struct CleanReport {
  std::vector<Leftover> leftovers;    // found; with `remove`, removed. By kind and key
  std::vector<Leftover> kept;         // shards that no commit refers to, and why they must stay
  std::vector<std::string> problems;  // what could not be read or removed, units opened again

  int64_t bytes() const;
};

// An error means that the run could not be listed.
Result<CleanReport> CleanRun(Store& store, const Run& run, const CleanOptions& options);

}  // namespace thresher

#endif  // THRESHER_DOCTOR_CLEANING_H_
