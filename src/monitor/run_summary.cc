#include "monitor/run_summary.h"

#include <algorithm>
#include <map>

#include "monitor/commit_scan.h"
#include "work/keys.h"

namespace thresher {

Result<RunSummary> SummariseRun(Store& store, const Run& run) {
  RunSummary summary;
  std::map<std::string, size_t> slot_of_hook;
  for (const std::string& hook : run.spec.capture.hooks) {
    slot_of_hook[hook] = summary.statistics.size();
    summary.statistics.push_back({hook, {}});
  }
  const int64_t unit_count = run.plan.unit_count();
  ASSIGN_OR_RETURN(const std::vector<int64_t> committed,
                   ListUnits(store, kCommitsPrefix, unit_count));
  RETURN_IF_ERROR(ScanCommits(store, committed, [&](int64_t, const Result<Commit>& commit) {
    if (!commit.ok()) {
      summary.unreadable.push_back(commit.status().message());
      return;
    }
    ++summary.committed_count;
    summary.samples_stored += commit->stored_sample_count();
    summary.samples_rejected += static_cast<int64_t>(commit->rejected.size());
    summary.samples_truncated += commit->truncated_count;
    summary.tokens += commit->token_count;
    summary.forward_tokens += commit->forward_token_count;
    summary.bytes += commit->bytes;
    for (const HookStatistics& hook : commit->statistics) {
      const auto slot = slot_of_hook.find(hook.name);
      if (slot == slot_of_hook.end()) continue;
      summary.statistics[slot->second].statistics.Merge(hook.statistics);
    }
    if (summary.first_commits.size() < kListedCommits) summary.first_commits.push_back(*commit);
  }));
  ASSIGN_OR_RETURN(const std::vector<int64_t> quarantined,
                   ListUnits(store, kQuarantinePrefix, unit_count));
  summary.quarantined_count = std::count_if(
      quarantined.begin(), quarantined.end(),
      [&](int64_t unit) { return !std::binary_search(committed.begin(), committed.end(), unit); });
  return summary;
}

}  // namespace thresher
