#include "extract/run_summary.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include "extract/commit_scan.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr const char* kOtherReasons = "other reasons";

Json HookJson(const RunSummary& summary, const HookStatistics& hook) {
  const TensorStatistics& s = hook.statistics;
  const Moments moments = MomentsOf(s);
  const int64_t rows = summary.tokens;
  return {{"name", hook.name},
          {"width", summary.WidthOf(hook)},
          {"count", s.count},
          {"not_finite", s.not_finite},
          {"mean", moments.mean},
          {"standard_deviation", moments.standard_deviation},
          {"norm", moments.norm},
          {"row_norm", rows > 0 ? moments.norm / std::sqrt(static_cast<double>(rows)) : 0.0},
          {"max_abs", s.max_abs},
          {"sum", s.sum},
          {"sum_squares", s.sum_squares}};
}

}  // namespace

std::string KindOfReason(std::string_view reason) {
  constexpr size_t kMaxBytes = 200;
  if (const size_t place = reason.find(": "); place != reason.npos) reason.remove_prefix(place + 2);
  for (const char* before_found : {", found ", "; found "}) {
    reason = reason.substr(0, std::min(reason.find(before_found), kMaxBytes));
  }
  std::string kind;
  bool in_number = false;
  for (const char c : reason) {
    const bool is_digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (!is_digit) kind += c;
    if (is_digit && !in_number) kind += 'N';
    in_number = is_digit;
  }
  return kind;
}

int64_t RunSummary::WidthOf(const HookStatistics& hook) const {
  return tokens > 0 ? hook.statistics.count / tokens : 0;
}

RunSummaryBuilder::RunSummaryBuilder(const Run& run) {
  summary_.unit_count = run.plan.unit_count();
  for (const std::string& hook : run.spec.capture.hooks) {
    slot_of_hook_[hook] = summary_.statistics.size();
    summary_.statistics.push_back({hook, {}});
  }
  statistics_.resize(summary_.statistics.size());
}

void RunSummaryBuilder::Add(const Commit& commit) {
  ++summary_.committed_count;
  summary_.samples_stored += commit.stored_sample_count();
  summary_.samples_rejected += static_cast<int64_t>(commit.rejected.size());
  summary_.samples_truncated += commit.truncated_count;
  summary_.sequences += commit.sequence_count;
  summary_.tokens += commit.token_count;
  summary_.forward_tokens += commit.forward_token_count;
  summary_.bytes += commit.bytes;
  for (size_t i = 0; i < commit.statistics.size(); ++i) {
    const HookStatistics& hook = commit.statistics[i];
    // Mostly in the order of run.json.
    if (i < statistics_.size() && summary_.statistics[i].name == hook.name) {
      statistics_[i].Add(hook.statistics);
      continue;
    }
    const auto slot = slot_of_hook_.find(hook.name);
    if (slot != slot_of_hook_.end()) statistics_[slot->second].Add(hook.statistics);
  }
  for (const RejectedSample& rejected : commit.rejected) {
    std::string kind = KindOfReason(rejected.reason);
    const bool is_one_too_many =
        rejection_kinds_.size() >= kMaxRejectionKinds && !rejection_kinds_.contains(kind);
    ++rejection_kinds_[is_one_too_many ? kOtherReasons : std::move(kind)];
    if (summary_.first_rejected.size() < kSummaryRejections) {
      summary_.first_rejected.push_back(rejected);
    }
  }
  if (summary_.first_commits.size() < kListedCommits) summary_.first_commits.push_back(commit);
}

void RunSummaryBuilder::AddSetAside(int64_t sample_count) {
  ++summary_.quarantined_count;
  summary_.samples_set_aside += sample_count;
}

RunSummary RunSummaryBuilder::Finish() {
  for (size_t slot = 0; slot < statistics_.size(); ++slot) {
    summary_.statistics[slot].statistics = statistics_[slot].Total();
  }
  for (const auto& [reason, count] : rejection_kinds_) {
    summary_.rejection_kinds.push_back({reason, count});
  }
  std::stable_sort(
      summary_.rejection_kinds.begin(), summary_.rejection_kinds.end(),
      [](const RejectionKind& a, const RejectionKind& b) { return a.count > b.count; });
  return std::move(summary_);
}

Result<RunSummary> SummariseRun(Store& store, const Run& run) {
  RunSummaryBuilder builder(run);
  const int64_t unit_count = run.plan.unit_count();
  ASSIGN_OR_RETURN(const std::vector<int64_t> committed,
                   ListUnits(store, kCommitsPrefix, unit_count));
  ScanCommits(store, committed, [&](int64_t, const Result<Commit>& commit) {
    commit.ok() ? builder.Add(*commit) : builder.AddUnreadable(commit.status().message());
  });
  ASSIGN_OR_RETURN(const std::vector<int64_t> quarantined,
                   ListUnits(store, kQuarantinePrefix, unit_count));
  for (const int64_t unit : quarantined) {
    if (std::binary_search(committed.begin(), committed.end(), unit)) continue;
    builder.AddSetAside(run.plan.Samples(unit).count);
  }
  return builder.Finish();
}

Json SummaryContent(const RunSummary& summary) {
  Json json;
  json["units"] = {{"planned", summary.unit_count},
                   {"committed", summary.committed_count},
                   {"set_aside", summary.quarantined_count}};
  json["samples"] = {{"stored", summary.samples_stored},
                     {"rejected", summary.samples_rejected},
                     {"set_aside", summary.samples_set_aside},
                     {"truncated", summary.samples_truncated}};
  json["sequences"] = summary.sequences;
  json["tokens"] = {{"stored", summary.tokens}, {"read_by_the_model", summary.forward_tokens}};
  json["bytes"] = summary.bytes;
  json["rejected_by_reason"] = Json::array();
  for (const RejectionKind& kind : summary.rejection_kinds) {
    json["rejected_by_reason"].push_back({{"reason", kind.reason}, {"count", kind.count}});
  }
  json["first_rejected"] = Json::array();
  for (const RejectedSample& sample : summary.first_rejected) {
    json["first_rejected"].push_back({{"sample", sample.sample}, {"reason", sample.reason}});
  }
  json["hook_points"] = Json::array();
  for (const HookStatistics& hook : summary.statistics) {
    json["hook_points"].push_back(HookJson(summary, hook));
  }
  return json;
}

std::string SummaryText(std::string_view run_fingerprint, const RunSummary& summary,
                        const Json& work) {
  const bool is_plain = summary.samples_rejected == 0 && summary.quarantined_count == 0;
  Json json;
  json["format_version"] = 1;
  json["run"] = run_fingerprint;
  json["state"] = is_plain ? "complete" : "complete with exceptions";
  json["content"] = SummaryContent(summary);
  json["work"] = work;
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace thresher
