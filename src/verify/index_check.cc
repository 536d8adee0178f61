#include "verify/index_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace thresher {
namespace {

std::optional<std::string> OffsetsFault(const std::vector<int64_t>& offsets,
                                        const IndexRules& rules) {
  if (offsets.front() != 0) return fmt::format("begins with {}, expected 0", offsets.front());
  if (offsets.back() != rules.row_count) {
    return fmt::format("ends with {}, expected the number of tokens, {}", offsets.back(),
                       rules.row_count);
  }
  const auto falls =
      std::adjacent_find(offsets.begin(), offsets.end(), [&](int64_t begin, int64_t end) {
        return rules.all_tokens_are_stored ? end <= begin : end < begin;
      });
  if (falls == offsets.end()) return std::nullopt;
  return fmt::format("does not rise: sequence {} goes from row {} to row {}",
                     falls - offsets.begin(), falls[0], falls[1]);
}

std::optional<std::string> SamplesFault(const std::vector<int64_t>& samples,
                                        const IndexRules& rules) {
  const SampleRange range = rules.samples;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i] < range.first || samples[i] >= range.end()) {
      return fmt::format("sequence {} is sample {}, outside the unit's samples {} to {}", i,
                         samples[i], range.first, range.end() - 1);
    }
    if (i > 0 &&
        (rules.samples_may_repeat ? samples[i] < samples[i - 1] : samples[i] <= samples[i - 1])) {
      return fmt::format("does not rise: sequence {} is sample {}, the one before it {}", i,
                         samples[i], samples[i - 1]);
    }
  }
  return std::nullopt;
}

std::optional<std::string> PositionsFault(const ShardIndex& index, const IndexRules& rules) {
  for (size_t sequence = 0; sequence + 1 < index.sequence_offsets.size(); ++sequence) {
    const int64_t begin = index.sequence_offsets[sequence];
    const int64_t end = index.sequence_offsets[sequence + 1];
    int64_t least = 0;
    for (int64_t row = begin; row < end; ++row) {
      const int32_t position = index.positions[static_cast<size_t>(row)];
      const bool is_right = rules.all_tokens_are_stored ? position == least : position >= least;
      if (!is_right) {
        return fmt::format("row {} of sequence {} has position {}, expected {}{}", row, sequence,
                           position, rules.all_tokens_are_stored ? "" : "at least ", least);
      }
      least = position + int64_t{1};
    }
  }
  return std::nullopt;
}

}  // namespace

IndexRules IndexRules::Of(const Commit& commit, SampleRange samples) {
  return {.samples = samples,
          .row_count = commit.token_count,
          .all_tokens_are_stored = commit.token_count == commit.forward_token_count,
          .samples_may_repeat = commit.sequence_count != commit.stored_sample_count()};
}

std::vector<IndexFault> CheckShardIndex(const ShardIndex& index, const IndexRules& rules) {
  std::vector<IndexFault> faults;
  const auto offsets_fault = OffsetsFault(index.sequence_offsets, rules);
  if (offsets_fault) faults.push_back({"sequence_offsets", *offsets_fault});
  if (const auto fault = SamplesFault(index.sample_index, rules)) {
    faults.push_back({"sample_index", *fault});
  }
  if (!offsets_fault) {
    if (const auto fault = PositionsFault(index, rules)) faults.push_back({"positions", *fault});
  }
  const auto negative = std::find_if(index.token_ids.begin(), index.token_ids.end(),
                                     [](int32_t id) { return id < 0; });
  if (negative != index.token_ids.end()) {
    faults.push_back({"token_ids", fmt::format("row {} has the token id {}",
                                               negative - index.token_ids.begin(), *negative)});
  }
  return faults;
}

}  // namespace thresher
