#ifndef THRESHER_EXTRACT_RUN_SUMMARY_H_
#define THRESHER_EXTRACT_RUN_SUMMARY_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "extract/run_store.h"
#include "shard/merged_statistics.h"
#include "store/store.h"
#include "work/json_fields.h"
#include "work/records.h"

namespace thresher {

// Samples that were rejected for the same sort of reason.
struct RejectionKind {
  std::string reason;  // without the place, and with N for each number
  int64_t count = 0;
};

// What the commits of a run say together.
struct RunSummary {
  int64_t unit_count = 0;
  int64_t committed_count = 0;
  int64_t quarantined_count = 0;  // set aside and not committed
  int64_t samples_stored = 0;
  int64_t samples_rejected = 0;
  int64_t samples_truncated = 0;
  int64_t samples_set_aside = 0;  // of units that are set aside
  int64_t sequences = 0;
  int64_t tokens = 0;          // stored
  int64_t forward_tokens = 0;  // that the model read
  int64_t bytes = 0;
  std::vector<HookStatistics> statistics;      // of all stored values, in the order of run.json
  std::vector<RejectionKind> rejection_kinds;  // most frequent first
  std::vector<RejectedSample> first_rejected;  // up to kSummaryRejections, ascending by sample
  std::vector<Commit> first_commits;           // up to kListedCommits, ascending by unit
  std::vector<std::string> unreadable;         // commits that could not be read, and why

  // The values of one row of `hook`; 0 if no token is stored.
  int64_t WidthOf(const HookStatistics& hook) const;
};

inline constexpr size_t kListedCommits = 5;
inline constexpr size_t kSummaryRejections = 100;
inline constexpr size_t kMaxRejectionKinds = 100;  // the rest is counted as "other reasons"

// A reason of a commit without the place in front and what was found behind, with N for numbers:
// "d.jsonl:17: field 'input': expected a string, found 3" is "field 'input': expected a string".
std::string KindOfReason(std::string_view reason);

// Adds up records one by one; memory does not grow with their number.
class RunSummaryBuilder {
 public:
  explicit RunSummaryBuilder(const Run& run);

  // Ascending by unit.
  void Add(const Commit& commit);
  void AddUnreadable(std::string why) { summary_.unreadable.push_back(std::move(why)); }
  void AddSetAside(int64_t sample_count);

  RunSummary Finish();

 private:
  RunSummary summary_;
  std::map<std::string, size_t> slot_of_hook_;
  std::vector<MergedStatistics> statistics_;  // by slot
  std::map<std::string, int64_t> rejection_kinds_;
};

// Reads every commit. A commit that cannot be read is listed and not counted.
Result<RunSummary> SummariseRun(Store& store, const Run& run);

// What of a summary is a pure function of the run's records: "content" of summary.json
// (docs/formats.md).
Json SummaryContent(const RunSummary& summary);

// summary.json; `work` is what is no such function.
std::string SummaryText(std::string_view run_fingerprint, const RunSummary& summary,
                        const Json& work);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_RUN_SUMMARY_H_
