#include "monitor/commit_sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "base/random.h"
#include "extract/commit_scan.h"
#include "shard/safetensors.h"

namespace thresher {
namespace {

// From the 8 bytes of a length and the header to one small tensor.
Result<std::vector<int64_t>> ReadSequenceLengths(Store& store, const std::string& shard,
                                                 int64_t file_bytes) {
  constexpr size_t kMostHeaderBytes = size_t{4} << 20;
  constexpr int64_t kMostOffsetsBytes = int64_t{8} << 20;
  std::vector<std::byte> header(8);
  RETURN_IF_ERROR(store.GetRange(shard, 0, header));
  ASSIGN_OR_RETURN(const int64_t data_begin, SafetensorsDataBegin(header, file_bytes));
  if (static_cast<size_t>(data_begin) > kMostHeaderBytes) return DataLoss(shard + ": long header");
  header.resize(static_cast<size_t>(data_begin));
  RETURN_IF_ERROR(store.GetRange(shard, 0, header));
  ASSIGN_OR_RETURN(const SafetensorsHeader parsed, ParseSafetensorsHeader(header, file_bytes));
  const TensorEntry* offsets = parsed.Find("sequence_offsets");
  if (!offsets || offsets->dtype != DType::kI64 ||
      offsets->end - offsets->begin > kMostOffsetsBytes) {
    return DataLoss(shard + ": no tensor sequence_offsets");
  }
  std::vector<int64_t> values(static_cast<size_t>(offsets->end - offsets->begin) / sizeof(int64_t));
  RETURN_IF_ERROR(store.GetRange(shard, offsets->begin, std::as_writable_bytes(std::span(values))));
  std::vector<int64_t> lengths;
  for (size_t i = 1; i < values.size(); ++i) lengths.push_back(values[i] - values[i - 1]);
  return lengths;
}

int64_t Scaled(int64_t value, double factor) {
  return std::llround(static_cast<double>(value) * factor);
}

}  // namespace

std::vector<int64_t> SampledUnits(const std::vector<int64_t>& committed) {
  const auto sampled_with = [&](uint64_t mask) {
    std::vector<int64_t> units;
    for (const int64_t unit : committed) {
      if ((Random(static_cast<uint64_t>(unit)).Next() & mask) == 0) units.push_back(unit);
    }
    return units;
  };
  // Begins where about the right number is expected.
  uint64_t mask = 0;
  while (committed.size() / (mask + 1) > CommitSample::kMostSampled) mask = 2 * mask + 1;
  std::vector<int64_t> units = sampled_with(mask);
  while (units.size() > CommitSample::kMostSampled) {
    mask = 2 * mask + 1;
    units = sampled_with(mask);
  }
  return units;
}

void CommitSample::Read(Store& store, const std::vector<int64_t>& committed, bool all) {
  const std::vector<int64_t> wanted = all ? committed : SampledUnits(committed);
  // Units that were opened again, or that the sample has outgrown.
  const auto is_not_wanted = [&](const auto& known) {
    return !std::binary_search(wanted.begin(), wanted.end(), known.first);
  };
  std::erase_if(entries_, is_not_wanted);
  std::erase_if(lengths_, is_not_wanted);
  unreadable_.clear();
  std::vector<int64_t> missing;
  for (const int64_t unit : wanted) {
    if (!entries_.contains(unit)) missing.push_back(unit);
  }
  ScanCommits(store, missing, [&](int64_t unit, const Result<Commit>& commit) {
    if (!commit.ok()) {
      unreadable_.emplace(unit, commit.status().message());
      return;
    }
    Entry entry{.samples_stored = commit->stored_sample_count(),
                .truncated = commit->truncated_count,
                .tokens = commit->token_count,
                .forward_tokens = commit->forward_token_count,
                .bytes = commit->bytes,
                .shard = commit->shard,
                .rejected = commit->rejected,
                .rejected_count = static_cast<int64_t>(commit->rejected.size())};
    if (entry.rejected.size() > kListedRejections) entry.rejected.resize(kListedRejections);
    entries_.emplace(unit, std::move(entry));
  });
}

void CommitSample::Describe(const Run& run, const std::vector<int64_t>& committed,
                            RunStatus& status) const {
  int64_t sampled = 0;  // samples of the units that were read
  for (const auto& [unit, entry] : entries_) {
    sampled += run.plan.Samples(unit).count;
    status.samples_stored += entry.samples_stored;
    status.samples_rejected += entry.rejected_count;
    status.samples_truncated += entry.truncated;
    status.tokens += entry.tokens;
    status.forward_tokens += entry.forward_tokens;
    status.bytes += entry.bytes;
    status.shard_bytes.Add(entry.bytes);
    for (const RejectedSample& sample : entry.rejected) {
      if (status.rejected.size() < kListedRejections) status.rejected.push_back(sample);
    }
  }
  for (const auto& [unit, why] : unreadable_) status.unreadable.push_back(why);
  status.totals_source = TotalsSource::kCommits;
  if (entries_.size() + unreadable_.size() == committed.size()) {
    status.committed_count -= static_cast<int64_t>(unreadable_.size());
    return;
  }
  status.totals_source = TotalsSource::kSample;
  if (sampled == 0) return;
  int64_t all = 0;
  for (const int64_t unit : committed) all += run.plan.Samples(unit).count;
  const double factor = static_cast<double>(all) / static_cast<double>(sampled);
  status.samples_rejected = Scaled(status.samples_rejected, factor);
  status.samples_stored = all - status.samples_rejected;
  status.samples_truncated = Scaled(status.samples_truncated, factor);
  status.tokens = Scaled(status.tokens, factor);
  status.forward_tokens = Scaled(status.forward_tokens, factor);
  status.bytes = Scaled(status.bytes, factor);
}

void CommitSample::DescribeSequences(Store& store, RunStatus& status) {
  for (const auto& [unit, entry] : entries_) {
    if (lengths_.size() == kShardsOpened) break;
    if (lengths_.contains(unit)) continue;
    Result<std::vector<int64_t>> lengths = ReadSequenceLengths(store, entry.shard, entry.bytes);
    lengths_.emplace(unit, lengths.ok() ? *std::move(lengths) : std::vector<int64_t>());
  }
  for (const auto& [unit, lengths] : lengths_) {
    for (const int64_t length : lengths) status.sequence_tokens.Add(length);
  }
}

}  // namespace thresher
