#ifndef THRESHER_WORK_RECORDS_H_
#define THRESHER_WORK_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "shard/statistics.h"
#include "work/plan.h"
#include "work/run_spec.h"

namespace thresher {

// The small objects of a run besides run.json and the plan, each to JSON and back. Parsers name the
// object and the field that is wrong. Formats: docs/formats.md.

// Who claims a unit: the content of leases/unit-N/eK.
struct Lease {
  int64_t unit = 0;
  int64_t epoch = 0;
  int64_t worker_id = 0;
  std::string session;

  std::string ToText() const;
  static Result<Lease> FromText(std::string_view text, std::string_view name);
};

// Why a claim ended without a commit: the content of leases/unit-N/eK.failed and .released.
struct LeaseEndRecord {
  std::string session;
  std::string reason;

  std::string ToText() const;
  static Result<LeaseEndRecord> FromText(std::string_view text, std::string_view name);
};

struct RejectedSample {
  int64_t sample = 0;
  std::string reason;
};

// One tensor of a committed shard.
struct TensorRecord {
  std::string name;
  std::string checksum;  // "crc32c:..." of the tensor's bytes
};

struct HookStatistics {
  std::string name;
  TensorStatistics statistics;
};

// What makes a shard part of the run: the content of commits/unit-N.json. Its text carries a
// checksum of itself, so that an edited record is found.
struct Commit {
  std::string run_fingerprint;
  int64_t unit = 0;
  int64_t epoch = 0;
  int64_t worker_id = 0;
  std::string session;
  int64_t first_sample = 0;
  int64_t sample_count = 0;         // of the unit, the rejected ones included
  int64_t sequence_count = 0;       // of the samples stored; one each, unless samples were split
  int64_t token_count = 0;          // tokens whose rows are stored
  int64_t forward_token_count = 0;  // tokens that the model read: those and the others
  int64_t truncated_count = 0;      // samples
  std::string shard;                // key of the shard, relative to the run
  int64_t bytes = 0;                // of the shard
  std::string checksum;             // of the whole shard
  std::string header_checksum;      // of the bytes before the first tensor
  std::vector<TensorRecord> tensors;
  std::vector<HookStatistics> statistics;
  std::vector<RejectedSample> rejected;
  int64_t committed_unix_ms = 0;  // the worker's clock; for people

  // Every sample of the unit is either rejected or stored.
  int64_t stored_sample_count() const {
    return sample_count - static_cast<int64_t>(rejected.size());
  }

  std::string ToText() const;
  static Result<Commit> FromText(std::string_view text, std::string_view name);
};

// A worker's sign of life: workers/tpu_N.<session>.json, overwritten every few seconds.
struct Heartbeat {
  int64_t worker_id = 0;
  std::string session;
  std::string state;  // "running" or "stopped"
  std::string host;
  int64_t process_id = 0;
  std::string program_version;
  std::string engine;
  int64_t started_unix_ms = 0;
  int64_t updated_unix_ms = 0;
  std::vector<int64_t> units_held;
  int64_t units_committed = 0;
  int64_t units_duplicate = 0;
  int64_t samples_committed = 0;
  int64_t tokens_committed = 0;
  int64_t bytes_committed = 0;
  int64_t tokens_computed = 0;
  double tokens_per_second = 0;  // since the engine's first unit
  std::string last_error;

  // The rest is 0 in heartbeats of programs that did not write it yet.
  int64_t lease_ttl_ms = 0;      // of this worker
  int64_t beat_interval_ms = 0;  // how often it means to write a heartbeat
  int64_t forward_tokens_committed = 0;
  int64_t samples_rejected = 0;   // of committed units
  int64_t samples_truncated = 0;  // of committed units
  int64_t units_failed = 0;
  int64_t units_taken_over = 0;         // claimed after somebody else had claimed them
  int64_t bytes_uploaded = 0;           // of shards, duplicates included
  int64_t uploads_failed = 0;           // for good: the unit stayed open
  int64_t upload_failed_unix_ms = 0;    // the last of them
  int64_t unit_failed_unix_ms = 0;      // the engine could not compute a unit, the last time
  int64_t progressed_unix_ms = 0;       // when it last computed a batch or ended a unit
  double recent_tokens_per_second = 0;  // computed, over the last minute
  double recent_bytes_per_second = 0;   // uploaded, over the last five minutes
  double engine_seconds = 0;            // forward passes
  double wait_for_unit_seconds = 0;     // the engine had nothing to do
  double wait_for_arena_seconds = 0;    // the engine waited for uploads
  double upload_seconds = 0;

  std::string ToText() const;
  static Result<Heartbeat> FromText(std::string_view text, std::string_view name);
};

// A unit that is set aside: quarantine/unit-N.json.
struct Quarantine {
  int64_t unit = 0;
  int64_t first_sample = 0;
  int64_t sample_count = 0;
  std::vector<std::string> errors;

  std::string ToText() const;
  static Result<Quarantine> FromText(std::string_view text, std::string_view name);
};

// A unit's line in manifest.json.
struct ManifestEntry {
  int64_t unit = 0;
  std::string shard;
  int64_t bytes = 0;
  std::string checksum;
  int64_t first_sample = 0;
  int64_t sample_count = 0;
  int64_t sequence_count = 0;
  int64_t token_count = 0;
  int64_t truncated_count = 0;
  int64_t rejected_count = 0;

  static ManifestEntry Of(const Commit& commit);
};

// The content of manifest.json: a pure function of run, commits and quarantine, so that whoever
// writes it writes the same bytes. Holds the text of the units added so far and nothing else.
class ManifestWriter {
 public:
  ManifestWriter(std::string run_fingerprint, int64_t unit_count);

  // Ascending by unit.
  void Add(const ManifestEntry& entry);

  // `quarantined` ascending by unit.
  std::string Finish(const std::vector<Quarantine>& quarantined) &&;

  int64_t rejected_count() const { return sum_.rejected_count; }

 private:
  std::string run_fingerprint_;
  int64_t unit_count_;
  ManifestEntry sum_;
  std::string units_;
};

// The same at once.
std::string ManifestText(std::string_view run_fingerprint, int64_t unit_count,
                         const std::vector<ManifestEntry>& entries,
                         const std::vector<Quarantine>& quarantined);

// That a run of so many units is complete and its manifest written: index/complete-N.json.
struct Completion {
  std::string run_fingerprint;
  int64_t unit_count = 0;
  int64_t rejected_count = 0;
  int64_t quarantined_count = 0;

  bool HasExceptions() const { return rejected_count > 0 || quarantined_count > 0; }

  std::string ToText() const;
  static Result<Completion> FromText(std::string_view text, std::string_view name);
};

// More samples for a run that exists: extensions/N.json. The data set begins with the samples that
// the run has, and the new units follow the old ones.
struct Extension {
  std::string run_fingerprint;
  RunSpec::DatasetSpec dataset;  // the whole of it, the run's samples included
  Plan plan;                     // of the new samples, counted from 0

  std::string ToText() const;
  static Result<Extension> FromText(std::string_view text, std::string_view name);
};

}  // namespace thresher

#endif  // THRESHER_WORK_RECORDS_H_
