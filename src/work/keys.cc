#include "work/keys.h"

#include <charconv>
#include <cstdio>

#include "base/check.h"

namespace thresher {
namespace {

std::optional<int64_t> TakeNumber(std::string_view& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || text.front() == '-') return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

bool TakeLiteral(std::string_view& text, std::string_view literal) {
  if (!text.starts_with(literal)) return false;
  text.remove_prefix(literal.size());
  return true;
}

// At least six.
std::string SixDigits(int64_t number) {
  THRESHER_CHECK(number >= 0);
  char text[32];
  std::snprintf(text, sizeof(text), "%06lld", static_cast<long long>(number));
  return text;
}

std::optional<int64_t> TakeUnit(std::string_view& text) {
  if (!TakeLiteral(text, "unit-")) return std::nullopt;
  return TakeNumber(text);
}

// "UNIT-eEPOCH" behind `prefix`; whatever follows is left in `text`.
struct UnitAndEpoch {
  int64_t unit;
  int64_t epoch;
};
std::optional<UnitAndEpoch> TakeUnitAndEpoch(std::string_view& text, std::string_view prefix) {
  if (!TakeLiteral(text, prefix)) return std::nullopt;
  const std::optional<int64_t> unit = TakeUnit(text);
  if (!unit || !TakeLiteral(text, "-e")) return std::nullopt;
  const std::optional<int64_t> epoch = TakeNumber(text);
  if (!epoch) return std::nullopt;
  return UnitAndEpoch{*unit, *epoch};
}

}  // namespace

std::string UnitName(int64_t unit) { return "unit-" + SixDigits(unit); }

std::string BlockPrefix(int64_t block) {
  std::string name = UnitName(block * kBlockUnits);
  name.resize(name.size() - 3);
  return name;
}

std::string PlanKey(std::string_view run_fingerprint) {
  const size_t colon = run_fingerprint.find(':');
  THRESHER_CHECK(colon != std::string_view::npos);
  return "plan/" + std::string(run_fingerprint.substr(colon + 1)) + ".json";
}

std::string ExtensionKey(int64_t number) {
  return std::string(kExtensionsPrefix) + SixDigits(number) + ".json";
}

std::string BlockMarkPrefix(int64_t block) {
  return std::string(kIndexPrefix) + SixDigits(block) + "-";
}

std::string BlockMarkKey(int64_t block, int64_t units, BlockMark mark) {
  return BlockMarkPrefix(block) + std::to_string(units) +
         (mark == BlockMark::kFinished ? ".finished" : ".claimed");
}

std::string FailureReportKey(int64_t unit, int64_t epoch) {
  return std::string(kFailureReportsPrefix) + UnitName(unit) + "-e" + std::to_string(epoch);
}

std::string CompletionKey(int64_t unit_count) {
  return std::string(kIndexPrefix) + "complete-" + std::to_string(unit_count) + ".json";
}

std::string ManifestLeasePrefix(int64_t unit_count) {
  return std::string(kLeasesPrefix) + "manifest-" + std::to_string(unit_count) + "/";
}

std::string ManifestLeaseKey(int64_t unit_count, int64_t epoch) {
  return ManifestLeasePrefix(unit_count) + "e" + std::to_string(epoch);
}

std::string CommitKey(int64_t unit) {
  return std::string(kCommitsPrefix) + UnitName(unit) + ".json";
}

std::string QuarantineKey(int64_t unit) {
  return std::string(kQuarantinePrefix) + UnitName(unit) + ".json";
}

std::string LeasePrefix(int64_t unit) { return std::string(kLeasesPrefix) + UnitName(unit) + "/"; }

std::string LeaseKey(int64_t unit, int64_t epoch) {
  return LeasePrefix(unit) + "e" + std::to_string(epoch);
}

std::string LeaseEndKey(int64_t unit, int64_t epoch, LeaseEnd end) {
  return LeaseKey(unit, epoch) + (end == LeaseEnd::kFailed ? ".failed" : ".released");
}

std::string HandoverPrefix(int64_t unit) {
  return std::string(kHandoversPrefix) + UnitName(unit) + "-";
}

std::string HandoverKey(int64_t unit, int64_t epoch) {
  return HandoverPrefix(unit) + "e" + std::to_string(epoch) + ".json";
}

std::string HandoverShardKey(int64_t unit, int64_t epoch) {
  return HandoverPrefix(unit) + "e" + std::to_string(epoch) + ".safetensors";
}

std::string WorkerFolder(int64_t worker_id) { return "tpu_" + std::to_string(worker_id); }

std::string HeartbeatKey(int64_t worker_id, std::string_view session) {
  return std::string(kWorkersPrefix) + WorkerFolder(worker_id) + "." + std::string(session) +
         ".json";
}

std::string ShardKey(int64_t worker_id, int64_t unit, int64_t epoch, std::string_view session) {
  return WorkerFolder(worker_id) + "/" + UnitName(unit) + "-e" + std::to_string(epoch) + "-" +
         std::string(session) + ".safetensors";
}

std::optional<int64_t> UnitOfRecordKey(std::string_view key, std::string_view prefix) {
  if (!TakeLiteral(key, prefix)) return std::nullopt;
  const std::optional<int64_t> unit = TakeUnit(key);
  if (!unit || key != ".json") return std::nullopt;
  return unit;
}

std::optional<LeaseName> ParseLeaseKey(std::string_view key) {
  if (!TakeLiteral(key, kLeasesPrefix)) return std::nullopt;
  const std::optional<int64_t> unit = TakeUnit(key);
  if (!unit || !TakeLiteral(key, "/e")) return std::nullopt;
  const std::optional<int64_t> epoch = TakeNumber(key);
  constexpr int64_t kMaxEpoch = 1'000'000'000;
  if (!epoch || *epoch < 1 || *epoch > kMaxEpoch) return std::nullopt;
  if (key.empty()) return LeaseName{*unit, *epoch, std::nullopt};
  if (key == ".failed") return LeaseName{*unit, *epoch, LeaseEnd::kFailed};
  if (key == ".released") return LeaseName{*unit, *epoch, LeaseEnd::kReleased};
  return std::nullopt;
}

std::optional<BlockMarkName> ParseBlockMarkKey(std::string_view key) {
  if (!TakeLiteral(key, kIndexPrefix)) return std::nullopt;
  const std::optional<int64_t> block = TakeNumber(key);
  if (!block || !TakeLiteral(key, "-")) return std::nullopt;
  const std::optional<int64_t> units = TakeNumber(key);
  if (!units) return std::nullopt;
  if (key == ".claimed") return BlockMarkName{*block, *units, BlockMark::kClaimed};
  if (key == ".finished") return BlockMarkName{*block, *units, BlockMark::kFinished};
  return std::nullopt;
}

std::optional<FailureReport> ParseFailureReportKey(std::string_view key) {
  std::string_view rest = key;
  const std::optional<UnitAndEpoch> name = TakeUnitAndEpoch(rest, kFailureReportsPrefix);
  if (!name || key != FailureReportKey(name->unit, name->epoch)) return std::nullopt;
  return FailureReport{name->unit, name->epoch};
}

std::optional<HeartbeatName> ParseHeartbeatKey(std::string_view key) {
  if (!TakeLiteral(key, kWorkersPrefix) || !TakeLiteral(key, "tpu_")) return std::nullopt;
  const std::optional<int64_t> worker_id = TakeNumber(key);
  if (!worker_id || !TakeLiteral(key, ".") || !key.ends_with(".json")) return std::nullopt;
  key.remove_suffix(5);
  if (key.empty()) return std::nullopt;
  return HeartbeatName{*worker_id, std::string(key)};
}

std::optional<HandoverName> ParseHandoverKey(std::string_view key) {
  std::string_view rest = key;
  const std::optional<UnitAndEpoch> name = TakeUnitAndEpoch(rest, kHandoversPrefix);
  if (!name) return std::nullopt;
  const auto& [unit, epoch] = *name;
  if (key == HandoverKey(unit, epoch)) return HandoverName{unit, epoch, false};
  if (key == HandoverShardKey(unit, epoch)) return HandoverName{unit, epoch, true};
  return std::nullopt;
}

std::optional<ShardName> ParseShardKey(std::string_view key) {
  constexpr std::string_view kEnding = ".safetensors";
  std::string_view rest = key;
  if (!TakeLiteral(rest, "tpu_")) return std::nullopt;
  const std::optional<int64_t> worker_id = TakeNumber(rest);
  if (!worker_id || !TakeLiteral(rest, "/")) return std::nullopt;
  const std::optional<int64_t> unit = TakeUnit(rest);
  if (!unit || !TakeLiteral(rest, "-e")) return std::nullopt;
  const std::optional<int64_t> epoch = TakeNumber(rest);
  if (!epoch || !TakeLiteral(rest, "-") || !rest.ends_with(kEnding)) return std::nullopt;
  rest.remove_suffix(kEnding.size());
  if (rest.empty() || rest.find('/') != std::string_view::npos) return std::nullopt;
  if (key != ShardKey(*worker_id, *unit, *epoch, rest)) return std::nullopt;
  return ShardName{*worker_id, *unit, *epoch, std::string(rest)};
}

}  // namespace thresher
