#include "sim/oracle.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/json.h"
#include "sim/product_api.h"
#include "work/keys.h"
#include "work/unit_board.h"

namespace thresher::sim {
namespace {

// What nobody may replace or delete, once it is there.
bool IsForever(std::string_view key) {
  return key == kRunKey || key.starts_with("plan/") || key.starts_with(kCommitsPrefix) ||
         key.starts_with(kLeasesPrefix) || key.starts_with(kQuarantinePrefix);
}

}  // namespace

Oracle::Oracle(const Workload& workload, std::function<void(const std::string&)> fail)
    : workload_(workload),
      fail_(std::move(fail)),
      run_{SpecOf(workload), SpecOf(workload).Fingerprint(), PlanOf(workload)} {}

void Oracle::Fail(const std::string& what) { fail_(what); }

Oracle::ExpectedShard Oracle::Expected(int64_t unit) const {
  const std::string content = ShardContent(unit);
  return {static_cast<int64_t>(content.size()), ExtendCrc32c(0, AsBytes(content))};
}

void Oracle::CheckShard(int64_t unit, const StoredObject& object, std::string_view key) {
  const ExpectedShard expected = Expected(unit);
  if (object.bytes == expected.bytes && object.crc == expected.crc) return;
  Fail("the committed shard " + std::string(key) + " is not whole: " +
       std::to_string(object.bytes) + " of " + std::to_string(expected.bytes) + " bytes");
}

void Oracle::OnWrite(std::string_view key, const StoredObject* old, const StoredObject& written) {
  if (old != nullptr && IsForever(key) && old->text != written.text) {
    return Fail(std::string(key) + " was replaced");
  }
  if (const auto committed = unit_of_shard_.find(key); committed != unit_of_shard_.end()) {
    CheckShard(committed->second, written, key);
  }
  if (key == kManifestKey) CheckManifest(written.text);
  if (old != nullptr) return;
  if (key.starts_with(kCommitsPrefix)) OnCommit(key, written.text);
  if (key.starts_with(kQuarantinePrefix)) OnQuarantine(key, written.text);
  if (const auto lease = ParseLeaseKey(key); lease && !lease->end) ++claims_[lease->unit];
}

void Oracle::OnDelete(std::string_view key, const StoredObject& /*old*/) {
  if (IsForever(key) || key == kManifestKey) Fail(std::string(key) + " was deleted");
  if (unit_of_shard_.contains(key)) {
    Fail("the committed shard " + std::string(key) + " was deleted");
  }
}

void Oracle::OnCommit(std::string_view key, const std::string& text) {
  const std::optional<int64_t> unit = UnitOfRecordKey(key, kCommitsPrefix);
  Result<Commit> commit = Commit::FromText(text, key);
  if (!unit || *unit >= run_.plan.unit_count() || !commit.ok()) {
    return Fail("a bad commit: " + std::string(key) + " " + commit.status().message());
  }
  const SampleRange samples = run_.plan.Samples(*unit);
  if (commit->unit != *unit || commit->first_sample != samples.first ||
      commit->sample_count != samples.count || commit->run_fingerprint != run_.fingerprint) {
    return Fail(std::string(key) + " does not fit the plan");
  }
  if (workload_.PoisonOf(*unit) != Poison::kNone) {
    return Fail(std::string(key) + ": this unit cannot be produced");
  }
  const StoredObject* shard = state_->Find(commit->shard);
  if (shard == nullptr) return Fail(std::string(key) + ": its shard is not there");
  CheckShard(*unit, *shard, commit->shard);
  const ExpectedShard expected = Expected(*unit);
  if (commit->bytes != expected.bytes || commit->checksum != FormatCrc32c(expected.crc)) {
    return Fail(std::string(key) + ": the record does not fit the shard");
  }
  unit_of_shard_.emplace(commit->shard, *unit);
  commits_.emplace(*unit, *std::move(commit));
}

void Oracle::OnQuarantine(std::string_view key, const std::string& text) {
  const std::optional<int64_t> unit = UnitOfRecordKey(key, kQuarantinePrefix);
  Result<Quarantine> quarantine = Quarantine::FromText(text, key);
  if (!unit || *unit >= run_.plan.unit_count() || !quarantine.ok()) {
    return Fail("a bad quarantine record: " + std::string(key));
  }
  // So many claims that ended without a word are what poison looks like.
  const bool many_claims = claims_[*unit] >= UnitBoard::Options{}.max_vanished;
  if (workload_.PoisonOf(*unit) == Poison::kNone) {
    if (!many_claims) return Fail(std::string(key) + ": nothing is wrong with this unit");
    ++innocent_count_;
  }
  quarantined_.emplace(*unit, *std::move(quarantine));
}

void Oracle::CheckManifest(const std::string& text) {
  const Result<nlohmann::json> json = ParseJson(text);
  if (!json.ok()) return Fail("manifest.json cannot be read: " + json.status().message());
  int64_t units = 0;
  for (const nlohmann::json& unit : json->at("units")) {
    const auto commit = commits_.find(unit.at("unit").get<int64_t>());
    if (commit == commits_.end() || commit->second.shard != unit.at("shard")) {
      return Fail("manifest.json names a shard that is not committed: " + unit.dump());
    }
    ++units;
  }
  for (const nlohmann::json& unit : json->at("quarantined")) {
    if (!quarantined_.contains(unit.at("unit").get<int64_t>())) {
      return Fail("manifest.json names a unit that was not set aside: " + unit.dump());
    }
    ++units;
  }
  if (units != run_.plan.unit_count()) {
    Fail("manifest.json was written with " + std::to_string(units) + " of " +
         std::to_string(run_.plan.unit_count()) + " units");
  }
}

void Oracle::CheckFinishFiles() {
  std::vector<Commit> commits;
  for (const auto& [unit, commit] : commits_) commits.push_back(commit);
  std::vector<Quarantine> quarantined;
  for (const auto& [unit, quarantine] : quarantined_) {
    if (!commits_.contains(unit)) quarantined.push_back(quarantine);
  }
  const StoredObject* manifest = state_->Find(kManifestKey);
  if (manifest == nullptr) return Fail("manifest.json is not there");
  if (manifest->text != ManifestOf(run_, commits, quarantined)) {
    return Fail("manifest.json is not what the run holds");
  }
  const StoredObject* summary = state_->Find(kSummaryKey);
  if (summary == nullptr || state_->Find(kReadmeKey) == nullptr) {
    return Fail("summary.json or README.md is not there");
  }
  const auto json = nlohmann::ordered_json::parse(summary->text, nullptr, false);
  if (json.is_discarded() ||
      json.at("content").dump() != SummaryContentOf(run_, commits, quarantined)) {
    Fail("summary.json is not what the run holds");
  }
}

void Oracle::CheckFinished() {
  int64_t samples = 0;
  for (int64_t unit = 0; unit < run_.plan.unit_count(); ++unit) {
    const bool committed = commits_.contains(unit);
    if (!committed && !quarantined_.contains(unit)) {
      return Fail(UnitName(unit) + " is neither committed nor set aside");
    }
    if (workload_.PoisonOf(unit) != Poison::kNone && !quarantined_.contains(unit)) {
      return Fail(UnitName(unit) + " is poisoned and was not set aside");
    }
    samples += committed ? commits_.at(unit).sample_count : quarantined_.at(unit).sample_count;
  }
  if (samples != workload_.sample_count) {
    return Fail(std::to_string(samples) + " samples are accounted for, of " +
                std::to_string(workload_.sample_count));
  }
  for (const auto& [shard, unit] : unit_of_shard_) {
    const StoredObject* object = state_->Find(shard);
    if (object == nullptr) return Fail("the committed shard " + shard + " is gone");
    CheckShard(unit, *object, shard);
  }
  CheckFinishFiles();
}

}  // namespace thresher::sim
