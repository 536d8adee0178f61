#include "verify/run_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/byte_size.h"
#include "engine/cpu/parallel.h"
#include "extract/run_summary.h"
#include "graph/hook_point.h"
#include "verify/commit_check.h"
#include "verify/expected_shard.h"
#include "work/keys.h"

namespace thresher {
namespace {

// The units that have a record below `prefix`. Names that are no such record are findings.
Result<std::vector<int64_t>> UnitsBelow(Store& store, std::string_view prefix, int64_t unit_count,
                                        FindingLog& log) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, prefix));
  std::vector<int64_t> units;
  for (const ObjectInfo& object : objects) {
    const std::optional<int64_t> unit = UnitOfRecordKey(object.key, prefix);
    if (!unit || object.key != std::string(prefix) + UnitName(*unit) + ".json") {
      log.Damage(std::nullopt, "", object.key + ": not the name of a unit's record");
    } else if (*unit >= unit_count) {
      log.Damage(*unit, "",
                 fmt::format("{}: the plan has only units 0 to {}", object.key, unit_count - 1));
    } else {
      units.push_back(*unit);
    }
  }
  std::sort(units.begin(), units.end());
  return units;
}

// The widths of the hook points, from the first commit that can be read and stores a token.
std::vector<ShardHook> FindHooks(Store& store, const RunSpec& spec,
                                 const std::vector<int64_t>& committed) {
  for (const int64_t unit : committed) {
    const Result<Commit> commit = ReadCommit(store, unit);
    if (!commit.ok()) continue;
    Result<std::vector<ShardHook>> hooks = HooksOfCommit(spec, *commit);
    if (hooks.ok() && !hooks->empty()) return *std::move(hooks);
  }
  std::vector<ShardHook> hooks;
  for (const std::string& name : spec.capture.hooks) hooks.push_back({name, 0});
  return hooks;
}

void CheckWidths(const RunRecords& records, FindingLog& log) {
  const RunSpec& spec = records.run.spec;
  for (const ShardHook& hook : records.hooks) {
    const Result<HookPoint> point =
        ParseHookName(hook.name, static_cast<int32_t>(spec.model.layer_count));
    if (!point.ok()) {
      log.Damage(std::nullopt, hook.name, "run.json: " + point.status().message());
      continue;
    }
    const bool is_inside =  // of a layer, where the width need not be that of the residual stream
        point->kind == HookKind::kQ || point->kind == HookKind::kK || point->kind == HookKind::kV ||
        point->kind == HookKind::kZ || point->kind == HookKind::kMlpPost;
    if (!is_inside && hook.width != 0 && hook.width != spec.model.hidden_size) {
      log.Damage(std::nullopt, hook.name,
                 fmt::format("stored with width {}, run.json says that the model's is {}",
                             hook.width, spec.model.hidden_size));
    }
  }
}

void CheckOneCommit(Store& store, int64_t unit, RunRecords& records, FindingLog& log) {
  UnitRecord& record = records.units[static_cast<size_t>(unit)];
  record.state = UnitState::kBadCommit;
  const std::string key = CommitKey(unit);
  const Result<std::string> text = store.GetText(key);
  if (!text.ok()) return log.Damage(unit, "", key + ": " + text.status().message());
  Result<Commit> commit = Commit::FromText(*text, key);
  if (!commit.ok()) {
    return log.Damage(unit, "", commit.status().message() + "; its shard cannot be checked");
  }
  for (CommitFault& fault : CheckCommit(*commit, *text, unit, records.run, records.hooks)) {
    log.Damage(unit, std::move(fault.tensor), std::move(fault.what));
  }
  for (const RejectedSample& sample : commit->rejected) {
    log.Add({Severity::kNote, unit, "",
             fmt::format("sample {} was rejected: {}", sample.sample, sample.reason)});
  }
  if (const auto shard = ExpectShard(*commit, records.hooks, records.dtype); !shard.ok()) {
    return log.Damage(unit, "", key + ": " + shard.status().message());
  }
  // A commit under another unit's name would be taken for that unit's.
  if (commit->unit != unit) return;
  record.state = UnitState::kCommitted;
  record.commit = *std::move(commit);
  record.commit.tensors = {};
  record.commit.statistics = {};
}

void FindSharedShards(const RunRecords& records, FindingLog& log) {
  std::map<std::string, int64_t> unit_of_shard;
  for (size_t unit = 0; unit < records.units.size(); ++unit) {
    const UnitRecord& record = records.units[unit];
    if (record.state != UnitState::kCommitted) continue;
    const auto [other, is_first] =
        unit_of_shard.emplace(record.commit.shard, static_cast<int64_t>(unit));
    if (is_first) continue;
    log.Damage(
        static_cast<int64_t>(unit), "",
        fmt::format("refers to the same shard as unit {}: {}", other->second, record.commit.shard));
  }
}

void CheckQuarantine(Store& store, int64_t unit, RunRecords& records, FindingLog& log) {
  UnitRecord& record = records.units[static_cast<size_t>(unit)];
  if (record.state != UnitState::kMissing) {
    return log.Add(
        {Severity::kNote, unit, "", "was set aside and committed all the same; the commit counts"});
  }
  record.state = UnitState::kQuarantined;
  const Result<Quarantine> quarantine = ReadQuarantine(store, unit);
  if (!quarantine.ok()) return log.Damage(unit, "", quarantine.status().message());
  record.quarantine = *quarantine;
  const SampleRange planned = records.run.plan.Samples(unit);
  if (quarantine->unit != unit || quarantine->first_sample != planned.first ||
      quarantine->sample_count != planned.count) {
    log.Damage(unit, "", QuarantineKey(unit) + ": unit and samples are not those of the plan");
  }
  log.Add(
      {Severity::kNote, unit, "",
       fmt::format("was set aside with its {} samples: {}", planned.count,
                   quarantine->errors.empty() ? "no reason given" : quarantine->errors.front())});
}

void ReportMissing(const RunRecords& records, FindingLog& log) {
  for (size_t unit = 0; unit < records.units.size(); ++unit) {
    if (records.units[unit].state != UnitState::kMissing) continue;
    log.Add({Severity::kIncomplete, static_cast<int64_t>(unit), "",
             "is neither committed nor set aside"});
  }
}

void CheckManifest(Store& store, const RunRecords& records, FindingLog& log) {
  const Result<std::string> text = store.GetText(kManifestKey);
  if (!text.ok() && text.status().code() != Code::kNotFound) {
    return log.Damage(std::nullopt, "", text.status().message());
  }
  std::vector<ManifestEntry> commits;
  std::vector<Quarantine> quarantined;
  bool is_complete = true;
  bool is_readable = true;
  for (const UnitRecord& record : records.units) {
    if (record.state == UnitState::kCommitted) commits.push_back(ManifestEntry::Of(record.commit));
    if (record.state == UnitState::kQuarantined) quarantined.push_back(record.quarantine);
    is_complete = is_complete && record.state != UnitState::kMissing;
    is_readable = is_readable && record.state != UnitState::kBadCommit;
  }
  if (!text.ok()) {
    if (is_complete) log.Note("manifest.json is not there, though every unit is finished");
    return;
  }
  if (!is_complete) {
    const int64_t unit_count = records.run.plan.unit_count();
    if (records.run.extension_count > 0 && !store.Stat(CompletionKey(unit_count)).ok()) {
      return log.Note("manifest.json is of the time before the run was extended");
    }
    return log.Damage(std::nullopt, "", "manifest.json is there, though units are missing");
  }
  if (!is_readable) return log.Note("manifest.json was not compared: a commit cannot be read");
  const auto unit_count = static_cast<int64_t>(records.units.size());
  if (*text != ManifestText(records.run.fingerprint, unit_count, commits, quarantined)) {
    log.Damage(std::nullopt, "", "manifest.json is not what the commits give");
  }
}

// That summary.json, which earlier versions did not write, says what the commits of a finished run
// give. What it says of the work is compared with nothing.
void CheckSummary(Store& store, const RunRecords& records, FindingLog& log) {
  const bool is_whole =
      std::all_of(records.units.begin(), records.units.end(), [](const UnitRecord& record) {
        return record.state == UnitState::kCommitted || record.state == UnitState::kQuarantined;
      });
  const Result<std::string> text = store.GetText(kSummaryKey);
  if (!text.ok()) {
    if (text.status().code() == Code::kNotFound) return;
    return log.Damage(std::nullopt, "", text.status().message());
  }
  if (!is_whole) return log.Note("summary.json was not compared: units are missing or damaged");
  const Result<RunSummary> summary = SummariseRun(store, records.run);
  if (!summary.ok()) return log.Damage(std::nullopt, "", summary.status().message());
  const Result<Json> json = ParseRecord(*text, kSummaryKey);
  if (!json.ok()) return log.Damage(std::nullopt, "", json.status().message());
  const bool is_right = json->is_object() && json->contains("run") &&
                        json->at("run") == records.run.fingerprint && json->contains("content") &&
                        json->at("content") == Json::parse(SummaryContent(*summary).dump(
                                                   -1, ' ', false, Json::error_handler_t::replace));
  if (!is_right) log.Damage(std::nullopt, "", "summary.json is not what the commits give");
}

}  // namespace

Result<RunRecords> CheckRecords(Store& store, int threads, FindingLog& log,
                                const std::function<void(int64_t count)>& on_record) {
  ASSIGN_OR_RETURN(Run run, LoadRun(store));
  const int64_t unit_count = run.plan.unit_count();
  RunRecords records{std::move(run), DType::kBf16, {}, {}};
  records.units.resize(static_cast<size_t>(unit_count));
  const std::optional<DType> dtype = StoredDTypeFromName(records.run.spec.capture.dtype);
  if (!dtype) {
    return DataLoss("run.json: '" + records.run.spec.capture.dtype + "' is no stored dtype");
  }
  records.dtype = *dtype;
  ASSIGN_OR_RETURN(const std::vector<int64_t> committed,
                   UnitsBelow(store, kCommitsPrefix, unit_count, log));
  records.hooks = FindHooks(store, records.run.spec, committed);
  CheckWidths(records, log);
  const auto commit_count = static_cast<int64_t>(committed.size());
  RETURN_IF_ERROR(ParallelFor(threads, commit_count, [&](int64_t index, int) {
    CheckOneCommit(store, committed[static_cast<size_t>(index)], records, log);
    on_record(commit_count);
  }));
  FindSharedShards(records, log);
  ASSIGN_OR_RETURN(const std::vector<int64_t> quarantined,
                   UnitsBelow(store, kQuarantinePrefix, unit_count, log));
  for (const int64_t unit : quarantined) CheckQuarantine(store, unit, records, log);
  ReportMissing(records, log);
  CheckManifest(store, records, log);
  CheckSummary(store, records, log);
  return records;
}

void NoteLeftovers(Store& store, const RunRecords& records, FindingLog& log) {
  std::set<std::string> referred;
  std::set<std::string> unknown;  // units whose commit cannot tell which shard is theirs
  for (size_t unit = 0; unit < records.units.size(); ++unit) {
    const UnitRecord& record = records.units[unit];
    if (record.state == UnitState::kCommitted) referred.insert(record.commit.shard);
    if (record.state == UnitState::kBadCommit) unknown.insert(UnitName(static_cast<int64_t>(unit)));
  }
  int64_t shard_count = 0;
  int64_t handover_count = 0;
  double bytes = 0;
  const Result<std::vector<ObjectInfo>> shards = ListAll(store, "tpu_");
  const Result<std::vector<ObjectInfo>> handovers = ListAll(store, kHandoversPrefix);
  if (!shards.ok() || !handovers.ok()) {
    return log.Note("leftovers were not counted: the store cannot be listed");
  }
  for (const ObjectInfo& object : *shards) {
    if (!IsShardKey(object.key) || referred.contains(object.key)) continue;
    const size_t name = object.key.find('/') + 1;
    if (unknown.contains(object.key.substr(name, object.key.find("-e", name) - name))) continue;
    ++shard_count;
    bytes += static_cast<double>(object.bytes);
  }
  for (size_t unit = 0; unit < records.units.size(); ++unit) {
    if (records.units[unit].state == UnitState::kMissing) continue;
    const std::string prefix = HandoverPrefix(static_cast<int64_t>(unit));
    auto object = std::lower_bound(
        handovers->begin(), handovers->end(), prefix,
        [](const ObjectInfo& info, const std::string& key) { return info.key < key; });
    for (; object != handovers->end() && object->key.starts_with(prefix); ++object) {
      ++handover_count;
      bytes += static_cast<double>(object->bytes);
    }
  }
  if (shard_count == 0 && handover_count == 0) return;
  log.Note(
      fmt::format("{} shards that no commit refers to and {} handovers of finished units, {}: "
                  "not part of the run",
                  shard_count, handover_count, FormatBytes(bytes)));
}

}  // namespace thresher
