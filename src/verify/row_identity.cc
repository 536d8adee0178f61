#include "verify/row_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <variant>

namespace thresher {
namespace {

// Samples of one unit that differ, in each way in which they can.
struct Differences {
  std::vector<int64_t> token_ids;
  std::vector<int64_t> keys;
  std::vector<int64_t> should_be_rejected;
  std::vector<int64_t> should_be_stored;
  std::string first_reason;
};

void Report(const Commit& commit, const char* tensor, const std::vector<int64_t>& samples,
            std::string_view what, FindingLog& log) {
  if (samples.empty()) return;
  log.Damage(commit.unit, tensor,
             fmt::format("{} samples {}: {}", samples.size(), what, FirstFew(samples)));
}

}  // namespace

void CheckRowIdentity(const Dataset& dataset, const SampleReader& reader, const Commit& commit,
                      const ShardIndex& index,
                      const std::optional<std::vector<std::string>>& sample_keys, FindingLog& log) {
  Differences differences;
  int64_t truncated_count = 0;
  for (size_t sequence = 0; sequence < index.sample_index.size(); ++sequence) {
    const int64_t sample_number = index.sample_index[sequence];
    const SampleOrRejection read = reader.Read(dataset, sample_number);
    if (const auto* rejection = std::get_if<Rejection>(&read)) {
      if (differences.should_be_rejected.empty()) differences.first_reason = rejection->reason;
      differences.should_be_rejected.push_back(sample_number);
      continue;
    }
    const Sample& sample = std::get<Sample>(read);
    if (sample.truncated) ++truncated_count;
    const auto begin = static_cast<size_t>(index.sequence_offsets[sequence]);
    const auto end = static_cast<size_t>(index.sequence_offsets[sequence + 1]);
    const auto stored = std::span(index.token_ids).subspan(begin, end - begin);
    if (!std::equal(stored.begin(), stored.end(), sample.token_ids.begin(),
                    sample.token_ids.end())) {
      differences.token_ids.push_back(sample_number);
    }
    if (sample_keys && (*sample_keys)[sequence] != sample.key) {
      differences.keys.push_back(sample_number);
    }
  }
  for (const RejectedSample& rejected : commit.rejected) {
    if (rejected.sample < 0 || rejected.sample >= dataset.record_count()) continue;
    if (std::holds_alternative<Sample>(reader.Read(dataset, rejected.sample))) {
      differences.should_be_stored.push_back(rejected.sample);
    }
  }
  Report(commit, "token_ids", differences.token_ids, "have other token ids than the data set gives",
         log);
  Report(commit, "header", differences.keys, "have other keys than the data set gives", log);
  Report(commit, "sample_index", differences.should_be_rejected,
         "are stored but cannot be used (" + differences.first_reason + ")", log);
  Report(commit, "sample_index", differences.should_be_stored, "were rejected but can be used",
         log);
  if (differences.should_be_rejected.empty() && truncated_count != commit.truncated_count) {
    log.Damage(commit.unit, "",
               fmt::format("{} samples are truncated, its commit says {}", truncated_count,
                           commit.truncated_count));
  }
}

}  // namespace thresher
