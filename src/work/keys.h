#ifndef THRESHER_WORK_KEYS_H_
#define THRESHER_WORK_KEYS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace thresher {

// Names of a run's objects (docs/formats.md). Unit numbers have at least six digits, so that names
// sort as numbers do below a million units.

inline constexpr std::string_view kRunKey = "run.json";
inline constexpr std::string_view kManifestKey = "manifest.json";
inline constexpr std::string_view kSummaryKey = "summary.json";
inline constexpr std::string_view kReadmeKey = "README.md";
// What is written when a run is complete; by earlier versions the first alone.
inline constexpr std::array<std::string_view, 3> kFinishKeys = {kManifestKey, kSummaryKey,
                                                                kReadmeKey};
inline constexpr std::string_view kCommitsPrefix = "commits/";
inline constexpr std::string_view kLeasesPrefix = "leases/";
inline constexpr std::string_view kWorkersPrefix = "workers/";
inline constexpr std::string_view kQuarantinePrefix = "quarantine/";
inline constexpr std::string_view kHandoversPrefix = "handovers/";
inline constexpr std::string_view kIndexPrefix = "index/";
inline constexpr std::string_view kExtensionsPrefix = "extensions/";

// Units are looked at in blocks, each one listing: those that agree in all but the last three
// digits of their numbers.
inline constexpr int64_t kBlockUnits = 1000;
inline int64_t BlockOf(int64_t unit) { return unit / kBlockUnits; }
inline int64_t BlockCount(int64_t unit_count) {
  return (unit_count + kBlockUnits - 1) / kBlockUnits;
}

std::string UnitName(int64_t unit);                     // "unit-000123"
std::string PlanKey(std::string_view run_fingerprint);  // "plan/<32 hex digits>.json"
// What the names of all units of a block begin with; those of a few others may, too.
std::string BlockPrefix(int64_t block);             // "unit-000" for units 0 to 999
std::string CommitKey(int64_t unit);                // "commits/unit-000123.json"
std::string QuarantineKey(int64_t unit);            // "quarantine/unit-000123.json"
std::string LeasePrefix(int64_t unit);              // "leases/unit-000123/"
std::string LeaseKey(int64_t unit, int64_t epoch);  // "leases/unit-000123/e2"
// How a claim ended without a commit although its worker lives on.
enum class LeaseEnd { kReleased, kFailed };
std::string LeaseEndKey(int64_t unit, int64_t epoch,
                        LeaseEnd end);                      // "leases/unit-000123/e2.failed"
std::string HandoverPrefix(int64_t unit);                   // "handovers/unit-000123-"
std::string HandoverKey(int64_t unit, int64_t epoch);       // "handovers/unit-000123-e2.json"
std::string HandoverShardKey(int64_t unit, int64_t epoch);  // the same with ".safetensors"
std::string WorkerFolder(int64_t worker_id);                // "tpu_5"
std::string HeartbeatKey(int64_t worker_id, std::string_view session);
std::string ShardKey(int64_t worker_id, int64_t unit, int64_t epoch, std::string_view session);

std::string ExtensionKey(int64_t number);  // "extensions/000001.json"

// Marks that save others from looking at a block: hints, on which nothing rests. They hold the
// block's size, which grows when a run is extended.
enum class BlockMark {
  kClaimed,   // each unit has been claimed at least once
  kFinished,  // each unit is committed or set aside
};
std::string BlockMarkKey(int64_t block, int64_t units,
                         BlockMark mark);  // "index/000012-1000.finished"
std::string BlockMarkPrefix(int64_t block);
std::string CompletionKey(int64_t unit_count);  // "index/complete-12437.json"
// Claims of the right to write the manifest, as of a unit: "leases/manifest-12437/e1".
std::string ManifestLeasePrefix(int64_t unit_count);
std::string ManifestLeaseKey(int64_t unit_count, int64_t epoch);

// Tells workers of other blocks that this claim failed, until somebody claims the unit again: a
// hint, too. "index/failed-unit-000123-e2"
inline constexpr std::string_view kFailureReportsPrefix = "index/failed-";
std::string FailureReportKey(int64_t unit, int64_t epoch);
struct FailureReport {
  int64_t unit = 0;
  int64_t epoch = 0;
};
std::optional<FailureReport> ParseFailureReportKey(std::string_view key);

struct BlockMarkName {
  int64_t block = 0;
  int64_t units = 0;
  BlockMark mark = BlockMark::kClaimed;
};
std::optional<BlockMarkName> ParseBlockMarkKey(std::string_view key);

// The unit of "PREFIXunit-000123.json"; nothing for other names.
std::optional<int64_t> UnitOfRecordKey(std::string_view key, std::string_view prefix);

struct LeaseName {
  int64_t unit = 0;
  int64_t epoch = 0;
  std::optional<LeaseEnd> end;  // nothing: the claim itself
};
std::optional<LeaseName> ParseLeaseKey(std::string_view key);

struct HeartbeatName {
  int64_t worker_id = 0;
  std::string session;
};
std::optional<HeartbeatName> ParseHeartbeatKey(std::string_view key);

struct HandoverName {
  int64_t unit = 0;
  int64_t epoch = 0;
  bool is_shard = false;  // the rows; else the record
};
// Of names that HandoverKey or HandoverShardKey makes; nothing for others.
std::optional<HandoverName> ParseHandoverKey(std::string_view key);

struct ShardName {
  int64_t worker_id = 0;
  int64_t unit = 0;
  int64_t epoch = 0;
  std::string session;
};
// Of names that ShardKey makes, which are what orphan search looks at; nothing for others.
std::optional<ShardName> ParseShardKey(std::string_view key);
inline bool IsShardKey(std::string_view key) { return ParseShardKey(key).has_value(); }

}  // namespace thresher

#endif  // THRESHER_WORK_KEYS_H_
