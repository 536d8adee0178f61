#include "verify/row_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <variant>

#include "work/keys.h"

namespace thresher {
namespace {

// Samples of one unit that differ, in each way in which they can.
struct Differences {
  std::vector<int64_t> sequence_counts;
  std::vector<int64_t> positions;
  std::vector<int64_t> token_ids;
  std::vector<int64_t> keys;
  std::vector<int64_t> should_be_rejected;
  std::vector<int64_t> should_be_stored;
  std::string first_reason;
};

// Sequences [first, end) of a shard, all of one sample.
struct StoredSample {
  size_t first = 0;
  size_t end = 0;
};

// What a shard must hold of one sequence of a sample.
struct ExpectedRows {
  std::vector<int32_t> positions;
  std::vector<int32_t> token_ids;
};

ExpectedRows RowsOf(const Sample& sample, size_t part) {
  const int64_t begin = sample.sequence_offsets[part];
  ExpectedRows rows;
  for (int64_t token = begin; token < sample.sequence_offsets[part + 1]; ++token) {
    const bool is_stored =
        !sample.stored_tokens ||
        std::binary_search(sample.stored_tokens->begin(), sample.stored_tokens->end(), token);
    if (!is_stored) continue;
    rows.positions.push_back(static_cast<int32_t>(token - begin));
    rows.token_ids.push_back(sample.token_ids[static_cast<size_t>(token)]);
  }
  return rows;
}

void Compare(const Sample& sample, const StoredSample& stored, const ShardIndex& index,
             const std::optional<std::vector<std::string>>& sample_keys, Differences& differences) {
  const int64_t number = index.sample_index[stored.first];
  if (stored.end - stored.first + 1 != sample.sequence_offsets.size()) {
    differences.sequence_counts.push_back(number);
    return;
  }
  bool positions_are_right = true;
  bool token_ids_are_right = true;
  bool keys_are_right = true;
  for (size_t sequence = stored.first; sequence < stored.end; ++sequence) {
    const ExpectedRows expected = RowsOf(sample, sequence - stored.first);
    const auto begin = static_cast<size_t>(index.sequence_offsets[sequence]);
    const size_t rows = static_cast<size_t>(index.sequence_offsets[sequence + 1]) - begin;
    if (!std::ranges::equal(std::span(index.positions).subspan(begin, rows), expected.positions)) {
      positions_are_right = false;
    } else if (!std::ranges::equal(std::span(index.token_ids).subspan(begin, rows),
                                   expected.token_ids)) {
      token_ids_are_right = false;
    }
    if (sample_keys && (*sample_keys)[sequence] != sample.key) keys_are_right = false;
  }
  if (!positions_are_right) differences.positions.push_back(number);
  if (!token_ids_are_right) differences.token_ids.push_back(number);
  if (!keys_are_right) differences.keys.push_back(number);
}

void Report(const Commit& commit, const char* tensor, const std::vector<int64_t>& samples,
            std::string_view what, FindingLog& log) {
  if (samples.empty()) return;
  log.Damage(commit.unit, tensor,
             fmt::format("{} samples {}: {}", samples.size(), what, FirstFew(samples)));
}

}  // namespace

void CheckRowIdentity(const RunSamples& samples, const Commit& commit, const ShardIndex& index,
                      const std::optional<std::vector<std::string>>& sample_keys, FindingLog& log) {
  const Result<std::vector<SampleOrRejection>> reads =
      samples.Read(commit.first_sample, commit.sample_count);
  if (!reads.ok()) {
    log.Note("rows of " + UnitName(commit.unit) +
             " were not compared with the data set: " + reads.status().message());
    return;
  }
  const auto outcome_of = [&](int64_t sample) -> const SampleOrRejection& {
    return (*reads)[static_cast<size_t>(sample - commit.first_sample)];
  };
  Differences differences;
  int64_t truncated_count = 0;
  StoredSample stored;
  for (; stored.first < index.sample_index.size(); stored.first = stored.end) {
    const int64_t number = index.sample_index[stored.first];
    stored.end = stored.first + 1;
    while (stored.end < index.sample_index.size() && index.sample_index[stored.end] == number) {
      ++stored.end;
    }
    const SampleOrRejection& read = outcome_of(number);
    if (const auto* rejection = std::get_if<Rejection>(&read)) {
      if (differences.should_be_rejected.empty()) differences.first_reason = rejection->reason;
      differences.should_be_rejected.push_back(number);
      continue;
    }
    const Sample& sample = std::get<Sample>(read);
    if (sample.truncated) ++truncated_count;
    Compare(sample, stored, index, sample_keys, differences);
  }
  for (const RejectedSample& rejected : commit.rejected) {
    if (rejected.sample < commit.first_sample ||
        rejected.sample >= commit.first_sample + commit.sample_count) {
      continue;
    }
    if (std::holds_alternative<Sample>(outcome_of(rejected.sample))) {
      differences.should_be_stored.push_back(rejected.sample);
    }
  }
  Report(commit, "sample_index", differences.sequence_counts,
         "have another number of sequences than the data set gives", log);
  Report(commit, "positions", differences.positions,
         "are stored at other positions than the data set and the settings give", log);
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
