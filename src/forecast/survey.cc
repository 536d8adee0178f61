#include "forecast/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "base/check.h"
#include "sample/sequence_split.h"
#include "sample/token_selection.h"

namespace thresher {
namespace {

constexpr size_t kExamples = 5;
constexpr size_t kSamplesOfStratum = 32;
constexpr size_t kMaxStrata = 128;
constexpr double kNormal95 = 1.959964;
constexpr int64_t kBars = 10;

int64_t Quantile(const std::map<int64_t, double>& samples_of_length, double all, double part) {
  double sum = 0;
  for (const auto& [length, samples] : samples_of_length) {
    sum += samples;
    if (sum >= part * all) return length;
  }
  return samples_of_length.rbegin()->first;
}

// Bars of equal width, or each twice as wide as the one before where lengths vary much.
std::vector<LengthSummary::Bar> EmptyBars(int64_t least, int64_t most) {
  std::vector<LengthSummary::Bar> bars;
  if (most / std::max<int64_t>(1, least) >= 16) {
    int64_t begin = 1;
    while (2 * begin <= least) begin *= 2;
    for (; begin <= most; begin *= 2) bars.push_back({begin, 2 * begin - 1, 0});
    return bars;
  }
  const int64_t width = (most - least) / kBars + 1;
  for (int64_t begin = least; begin <= most; begin += width) {
    bars.push_back({begin, begin + width - 1, 0});
  }
  return bars;
}

LengthSummary Summarize(const std::map<int64_t, double>& samples_of_length) {
  LengthSummary summary;
  if (samples_of_length.empty()) return summary;
  double all = 0;
  for (const auto& [length, samples] : samples_of_length) all += samples;
  summary.least = samples_of_length.begin()->first;
  summary.median = Quantile(samples_of_length, all, 0.5);
  summary.p90 = Quantile(samples_of_length, all, 0.9);
  summary.p99 = Quantile(samples_of_length, all, 0.99);
  summary.most = samples_of_length.rbegin()->first;
  summary.bars = EmptyBars(summary.least, summary.most);
  auto bar = summary.bars.begin();
  for (const auto& [length, samples] : samples_of_length) {
    while (length > bar->most) ++bar;
    bar->samples += samples;
  }
  return summary;
}

// One stratum: the samples of records up to this length, and longer than the stratum before.
struct Stratum {
  int64_t longest_record = 0;
  size_t begin = 0;  // of the observations, ordered by length
  size_t end = 0;
  double sample_count = 0;
};

}  // namespace

double QueryKeyPairs(int64_t tokens, std::optional<int64_t> window) {
  const auto n = static_cast<double>(tokens);
  if (!window || *window >= tokens) return n * (n + 1) / 2;
  const auto w = static_cast<double>(*window);
  return w * (w + 1) / 2 + (n - w) * w;
}

std::vector<double> Surveyor::Measures(const SampleOrRejection& outcome) const {
  std::vector<double> measures(kPairs + options_.windows.size(), 0.0);
  const auto* sample = std::get_if<Sample>(&outcome);
  if (!sample) {
    measures[kRejected] = 1;
    return measures;
  }
  const std::vector<int64_t>& offsets = sample->sequence_offsets;
  measures[kTokens] = static_cast<double>(sample->token_ids.size());
  measures[kRows] = static_cast<double>(StoredRows(*sample));
  measures[kSequences] = static_cast<double>(offsets.size() - 1);
  measures[kBytes] = static_cast<double>(options_.size.BytesOf(*sample));
  measures[kTruncated] = sample->truncated ? 1 : 0;
  measures[kSplit] = offsets.size() > 2 ? 1 : 0;
  for (size_t w = 0; w < options_.windows.size(); ++w) {
    for (size_t s = 1; s < offsets.size(); ++s) {
      measures[kPairs + w] += QueryKeyPairs(offsets[s] - offsets[s - 1], options_.windows[w]);
    }
  }
  return measures;
}

void Surveyor::NoteKey(int64_t index, const std::string& key) {
  if (key.empty() || index % options_.variants != 0) return;
  // The key of a first variant ends in "#0".
  const std::string of_record = options_.variants == 1 ? key : key.substr(0, key.size() - 2);
  const auto [first, is_new] = first_with_key_.emplace(of_record, index);
  if (is_new) return;
  ++duplicate_count_;
  if (duplicates_.size() < kExamples) {
    duplicates_.push_back({index, fmt::format("'{}', as sample {}", of_record, first->second)});
  }
}

void Surveyor::Add(int64_t index, int64_t record_bytes, const SampleOrRejection& outcome) {
  std::vector<double> measures = Measures(outcome);
  if (const auto* rejection = std::get_if<Rejection>(&outcome)) {
    if (rejections_.size() < kExamples) rejections_.push_back({index, rejection->reason});
  } else {
    const auto& sample = std::get<Sample>(outcome);
    samples_of_length_[static_cast<int64_t>(sample.token_ids.size())] += 1;
    NoteKey(index, sample.key);
  }
  ++count_;
  sums_.resize(measures.size());
  for (size_t m = 0; m < measures.size(); ++m) sums_[m] += measures[m];
  if (count_ <= kMaxSamplesReadWholly) observations_.push_back({record_bytes, std::move(measures)});
}

std::vector<Estimate> Surveyor::EstimateSums(SampleRange range,
                                             const std::function<int64_t(int64_t)>& record_bytes,
                                             std::map<int64_t, double>& samples_of_length) {
  std::sort(
      observations_.begin(), observations_.end(),
      [](const Observation& a, const Observation& b) { return a.record_bytes < b.record_bytes; });
  const size_t wished = std::clamp<size_t>(observations_.size() / kSamplesOfStratum, 1, kMaxStrata);
  std::vector<Stratum> strata;
  for (size_t s = 0, begin = 0; s < wished; ++s) {
    size_t end = observations_.size() * (s + 1) / wished;
    if (end <= begin) continue;
    // Records of one length belong to one stratum.
    const int64_t longest = observations_[end - 1].record_bytes;
    while (end < observations_.size() && observations_[end].record_bytes == longest) ++end;
    strata.push_back({.longest_record = longest, .begin = begin, .end = end});
    begin = end;
  }
  for (int64_t index = range.first; index < range.end(); ++index) {
    const int64_t bytes = record_bytes(index);
    auto stratum = std::lower_bound(
        strata.begin(), strata.end() - 1, bytes,
        [](const Stratum& candidate, int64_t value) { return candidate.longest_record < value; });
    stratum->sample_count += 1;
  }
  std::vector<Estimate> sums(sums_.size());
  samples_of_length.clear();
  for (const Stratum& stratum : strata) {
    const auto count = static_cast<double>(stratum.end - stratum.begin);
    const double weight = stratum.sample_count / count;
    for (size_t m = 0; m < sums.size(); ++m) {
      double sum = 0;
      double squares = 0;
      for (size_t i = stratum.begin; i < stratum.end; ++i) sum += observations_[i].measures[m];
      const double mean = sum / count;
      for (size_t i = stratum.begin; i < stratum.end; ++i) {
        const double difference = observations_[i].measures[m] - mean;
        squares += difference * difference;
      }
      const double variance = count > 1 ? squares / (count - 1) : 0;
      sums[m].value += stratum.sample_count * mean;
      // The variances add up; the root is taken below.
      sums[m].error +=
          stratum.sample_count * stratum.sample_count * (1 - 1 / weight) * variance / count;
    }
    for (size_t i = stratum.begin; i < stratum.end; ++i) {
      const std::vector<double>& measures = observations_[i].measures;
      if (measures[kRejected] > 0) continue;
      samples_of_length[static_cast<int64_t>(measures[kTokens])] += weight;
    }
  }
  for (Estimate& sum : sums) sum.error = kNormal95 * std::sqrt(std::max(0.0, sum.error));
  return sums;
}

Survey Surveyor::Finish(SampleRange range, const std::function<int64_t(int64_t)>& record_bytes) {
  THRESHER_CHECK(count_ > 0 && count_ <= range.count);
  Survey survey;
  survey.sample_count = range.count;
  survey.examined_count = count_;
  std::vector<Estimate> sums;
  if (survey.IsExact()) {
    for (const double sum : sums_) sums.push_back({.value = sum});
    survey.duplicate_keys = duplicate_count_;
    survey.duplicates = std::move(duplicates_);
  } else {
    THRESHER_CHECK(count_ == static_cast<int64_t>(observations_.size()));
    sums = EstimateSums(range, record_bytes, samples_of_length_);
  }
  survey.tokens = sums[kTokens];
  survey.rows = sums[kRows];
  survey.sequences = sums[kSequences];
  survey.bytes = sums[kBytes];
  survey.truncated = sums[kTruncated];
  survey.split = sums[kSplit];
  survey.rejected = sums[kRejected];
  survey.query_key_pairs.assign(sums.begin() + kPairs, sums.end());
  survey.lengths = Summarize(samples_of_length_);
  survey.rejections = std::move(rejections_);
  return survey;
}

Result<Survey> AssumedSurvey(int64_t samples, int64_t tokens, const SampleSettings& settings,
                             const UnitSize& size, const Windows& windows) {
  ASSIGN_OR_RETURN(const TokenSelection selection,
                   ParseTokenSelection(settings.tokens, settings.exclude_tokens));
  if (selection.IsByText()) {
    return InvalidArgument(fmt::format(
        "--assume-samples: what --tokens {} stores depends on the text; give a data set",
        settings.tokens));
  }
  const bool is_overlong = tokens > settings.max_tokens;
  if (is_overlong && settings.overlong == "reject") {
    return InvalidArgument(fmt::format(
        "--assume-tokens {}: with --overlong reject and --max-tokens {} every sample is rejected",
        tokens, settings.max_tokens));
  }
  TokenList list;
  const bool is_split = is_overlong && settings.overlong == "split";
  list.token_ids.resize(
      static_cast<size_t>(is_split ? tokens : std::min(tokens, settings.max_tokens)));
  SplitTokens split =
      Split(std::move(list), {.max_tokens = settings.max_tokens, .overlap = settings.overlap});
  Sample sample;
  sample.token_ids = std::move(split.token_ids);
  sample.sequence_offsets = std::move(split.sequence_offsets);
  sample.truncated = is_overlong && !is_split;
  const std::unordered_set<int32_t> no_specials;
  SelectableTokens selectable;
  selectable.token_ids = sample.token_ids;
  selectable.sequence_offsets = sample.sequence_offsets;
  selectable.special_ids = &no_specials;
  sample.stored_tokens = SelectTokens(selection, selectable);
  if (selection.kind == TokenSelection::Kind::kFraction && sample.stored_tokens) {
    // The expected number instead of one draw.
    sample.stored_tokens->resize(static_cast<size_t>(
        std::llround(selection.fraction * static_cast<double>(sample.token_ids.size()))));
  }
  Surveyor surveyor({.size = size, .windows = windows});
  surveyor.Add(0, 1, sample);
  Survey survey = surveyor.Finish({0, 1}, [](int64_t) { return 1; });
  survey.sample_count = samples;
  survey.examined_count = 0;
  survey.duplicate_keys.reset();
  const auto factor = static_cast<double>(samples);
  for (Estimate* sum : {&survey.tokens, &survey.rows, &survey.sequences, &survey.bytes,
                        &survey.truncated, &survey.split}) {
    sum->value *= factor;
  }
  for (Estimate& pairs : survey.query_key_pairs) pairs.value *= factor;
  for (LengthSummary::Bar& bar : survey.lengths.bars) bar.samples *= factor;
  return survey;
}

}  // namespace thresher
