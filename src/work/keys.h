#ifndef THRESHER_WORK_KEYS_H_
#define THRESHER_WORK_KEYS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace thresher {

// Names of a run's objects (docs/formats.md). Unit numbers have at least six digits, so that names
// sort as numbers do below a million units.

inline constexpr std::string_view kRunKey = "run.json";
inline constexpr std::string_view kManifestKey = "manifest.json";
inline constexpr std::string_view kCommitsPrefix = "commits/";
inline constexpr std::string_view kLeasesPrefix = "leases/";
inline constexpr std::string_view kWorkersPrefix = "workers/";
inline constexpr std::string_view kQuarantinePrefix = "quarantine/";
inline constexpr std::string_view kHandoversPrefix = "handovers/";

std::string UnitName(int64_t unit);                     // "unit-000123"
std::string PlanKey(std::string_view run_fingerprint);  // "plan/<32 hex digits>.json"
std::string CommitKey(int64_t unit);                    // "commits/unit-000123.json"
std::string QuarantineKey(int64_t unit);                // "quarantine/unit-000123.json"
std::string LeasePrefix(int64_t unit);                  // "leases/unit-000123/"
std::string LeaseKey(int64_t unit, int64_t epoch);      // "leases/unit-000123/e2"
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

// True for names such as ShardKey makes: what orphan search looks at.
bool IsShardKey(std::string_view key);

}  // namespace thresher

#endif  // THRESHER_WORK_KEYS_H_
