#include "verify/commit_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "verify/expected_shard.h"
#include "work/json_fields.h"
#include "work/keys.h"

namespace thresher {
namespace {

class CommitChecker {
 public:
  CommitChecker(const Commit& commit, int64_t unit, const Run& run)
      : commit_(commit), unit_(unit), run_(run) {}

  void CheckText(std::string_view text);
  void CheckIdentity();
  void CheckSamples();
  void CheckCounts();
  void CheckHooks(const std::vector<ShardHook>& hooks);
  void CheckTensorNames(const std::vector<ShardHook>& hooks);

  std::vector<CommitFault> TakeFaults() { return std::move(faults_); }

 private:
  void Fault(const std::string& what) { faults_.push_back({"", CommitKey(unit_) + ": " + what}); }
  // Whether the run's prompts were made with this setting.
  bool SettingIs(const char* name, std::string_view value) const {
    const auto& settings = run_.spec.prompts.settings;
    const auto setting = settings.find(name);
    return setting != settings.end() && setting->second == value;
  }
  void TensorFault(std::string tensor, const std::string& what) {
    faults_.push_back({std::move(tensor), CommitKey(unit_) + ": " + what});
  }

  const Commit& commit_;
  const int64_t unit_;
  const Run& run_;
  std::vector<CommitFault> faults_;
};

// The record's checksum is over its fields; white space and repeated keys are outside it.
void CommitChecker::CheckText(std::string_view text) {
  const Result<Json> json = ParseRecord(text, CommitKey(unit_));
  if (json.ok() && json->dump(1, ' ', false, Json::error_handler_t::replace) + "\n" == text) return;
  Fault("not written as this program writes it: the text was edited");
}

void CommitChecker::CheckIdentity() {
  if (commit_.unit != unit_) Fault(fmt::format("is the commit of unit {}", commit_.unit));
  if (commit_.run_fingerprint != run_.fingerprint) {
    Fault(fmt::format("belongs to run {}, this is run {}", commit_.run_fingerprint,
                      run_.fingerprint));
  }
  const std::string shard =
      ShardKey(commit_.worker_id, commit_.unit, commit_.epoch, commit_.session);
  if (commit_.shard != shard) {
    Fault(fmt::format("names the shard {}; worker, unit, epoch and session give {}", commit_.shard,
                      shard));
  }
}

void CommitChecker::CheckSamples() {
  const SampleRange planned = run_.plan.Samples(unit_);
  if (commit_.first_sample != planned.first || commit_.sample_count != planned.count) {
    Fault(fmt::format("holds samples {} to {}, the plan says {} to {}", commit_.first_sample,
                      commit_.first_sample + commit_.sample_count - 1, planned.first,
                      planned.end() - 1));
  }
  for (size_t i = 0; i < commit_.rejected.size(); ++i) {
    const int64_t sample = commit_.rejected[i].sample;
    if (sample < planned.first || sample >= planned.end()) {
      Fault(fmt::format("rejects sample {}, which is not of this unit", sample));
    } else if (i > 0 && sample <= commit_.rejected[i - 1].sample) {
      Fault(fmt::format("the rejected samples do not rise: {} after {}", sample,
                        commit_.rejected[i - 1].sample));
    }
  }
}

void CommitChecker::CheckCounts() {
  const int64_t stored = commit_.stored_sample_count();
  const int64_t sequences = commit_.sequence_count;
  const bool may_be_split = stored > 0 && SettingIs("overlong", "split");
  if (stored < 0 || sequences < stored || (sequences > stored && !may_be_split)) {
    Fault(fmt::format("{} samples, but {} stored and {} rejected", commit_.sample_count, sequences,
                      commit_.rejected.size()));
  }
  const int64_t tokens = commit_.forward_token_count;
  if (tokens < sequences || (sequences == 0 && tokens > 0)) {
    Fault(fmt::format("{} tokens in {} sequences", tokens, sequences));
  }
  const bool all_are_stored = SettingIs("tokens", "all") && SettingIs("exclude_tokens", "none");
  if (commit_.token_count > tokens || (all_are_stored && commit_.token_count != tokens)) {
    Fault(fmt::format("stores the rows of {} of {} tokens{}", commit_.token_count, tokens,
                      all_are_stored ? ", though the run stores those of all" : ""));
  }
  if (commit_.truncated_count > stored) {
    Fault(fmt::format("{} of {} samples were truncated", commit_.truncated_count, stored));
  }
}

void CommitChecker::CheckHooks(const std::vector<ShardHook>& hooks) {
  if (commit_.statistics.size() != run_.spec.capture.hooks.size()) {
    Fault(fmt::format("statistics of {} hook points, the run has {}", commit_.statistics.size(),
                      run_.spec.capture.hooks.size()));
  }
  const Result<std::vector<ShardHook>> own = HooksOfCommit(run_.spec, commit_);
  if (!own.ok()) return Fault(own.status().message());
  for (size_t i = 0; i < own->size() && i < hooks.size(); ++i) {
    if ((*own)[i].width != hooks[i].width) {
      TensorFault(hooks[i].name, fmt::format("has {} values a token, other units have {}",
                                             (*own)[i].width, hooks[i].width));
    }
  }
}

void CommitChecker::CheckTensorNames(const std::vector<ShardHook>& hooks) {
  const std::optional<DType> dtype = StoredDTypeFromName(run_.spec.capture.dtype);
  if (!dtype) return;  // reported with run.json
  const ShardLayout layout = LayOutShard({.hooks = hooks, .dtype = *dtype, .metadata = {}});
  std::set<std::string> found;
  for (const TensorRecord& tensor : commit_.tensors) found.insert(tensor.name);
  for (const TensorEntry& entry : layout.tensors) {
    if (found.erase(entry.name) == 0) TensorFault(entry.name, "has no checksum of it");
  }
  for (const std::string& name : found) {
    TensorFault(name, "has a checksum of it, but the run does not store it");
  }
}

}  // namespace

std::vector<CommitFault> CheckCommit(const Commit& commit, std::string_view text, int64_t unit,
                                     const Run& run, const std::vector<ShardHook>& hooks) {
  CommitChecker checker(commit, unit, run);
  checker.CheckText(text);
  checker.CheckIdentity();
  checker.CheckSamples();
  checker.CheckCounts();
  checker.CheckHooks(hooks);
  checker.CheckTensorNames(hooks);
  return checker.TakeFaults();
}

}  // namespace thresher
