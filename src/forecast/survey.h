#ifndef THRESHER_FORECAST_SURVEY_H_
#define THRESHER_FORECAST_SURVEY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "extract/planner.h"
#include "sample/sample_reader.h"
#include "work/plan.h"

namespace thresher {

// A sum over all samples. With a probability of 95 % the truth is within `error` of `value`; 0: it
// is exact.
struct Estimate {
  double value = 0;
  double error = 0;
};

// Tokens per usable sample.
struct LengthSummary {
  int64_t least = 0;
  int64_t median = 0;
  int64_t p90 = 0;
  int64_t p99 = 0;
  int64_t most = 0;

  struct Bar {
    int64_t least = 0;  // lengths [least, most]
    int64_t most = 0;
    double samples = 0;
  };
  std::vector<Bar> bars;  // ascending; no gaps
};

// What the samples of a data set are, counted or estimated.
struct Survey {
  int64_t sample_count = 0;
  int64_t examined_count = 0;  // samples that were read; 0: the figures are assumed
  bool IsExact() const { return examined_count == sample_count; }

  Estimate tokens;     // through the model
  Estimate rows;       // stored tokens
  Estimate sequences;  // a sample that is split has several
  Estimate bytes;      // of the shards, without their headers
  Estimate truncated;  // samples
  Estimate split;      // samples of several sequences
  Estimate rejected;   // samples
  // For each attention window that was asked for: pairs of a token and one that it sees.
  std::vector<Estimate> query_key_pairs;
  LengthSummary lengths;

  struct Example {
    int64_t sample = 0;
    std::string text;
  };
  std::vector<Example> rejections;  // the first ones, with their reasons
  // Records whose key an earlier record has; known only if all samples were read.
  std::optional<int64_t> duplicate_keys;
  std::vector<Example> duplicates;  // the first ones
};

// Attention windows of a model, each once; nothing: none.
using Windows = std::vector<std::optional<int64_t>>;

// The pairs of tokens (i, j), j <= i, that causal attention over `tokens` tokens looks at.
double QueryKeyPairs(int64_t tokens, std::optional<int64_t> window);

// Makes a survey of samples that are read one after another: all of them, or some that are evenly
// spread. Sums over samples that were not read are estimated by post-stratification on the
// records' lengths, which are known for all (Cochran, Sampling Techniques, 5A.9): the samples read,
// ordered by length, fall into strata of equal numbers; a stratum's mean stands for all samples of
// its lengths, its variance gives the error.
class Surveyor {
 public:
  struct Options {
    UnitSize size;
    Windows windows;
    int64_t variants = 1;
  };
  explicit Surveyor(Options options) : options_(std::move(options)) {}

  // Each sample at most once, ascending. Of data sets of more than kMaxSamplesReadWholly samples,
  // either all or at most so many.
  void Add(int64_t index, int64_t record_bytes, const SampleOrRejection& sample);

  // `record_bytes(index)` of every sample of the range. Call once, last.
  Survey Finish(SampleRange range, const std::function<int64_t(int64_t)>& record_bytes);

 private:
  // What is summed; then the pairs of each window.
  enum Measure : size_t {
    kTokens,
    kRows,
    kSequences,
    kBytes,
    kTruncated,
    kSplit,
    kRejected,
    kPairs,
  };
  struct Observation {
    int64_t record_bytes = 0;
    std::vector<double> measures;
  };

  std::vector<double> Measures(const SampleOrRejection& sample) const;
  void NoteKey(int64_t index, const std::string& key);
  std::vector<Estimate> EstimateSums(SampleRange range,
                                     const std::function<int64_t(int64_t)>& record_bytes,
                                     std::map<int64_t, double>& samples_of_length);

  Options options_;
  int64_t count_ = 0;
  std::vector<double> sums_;
  std::vector<Observation> observations_;  // the first kMaxSamplesReadWholly
  std::map<int64_t, double> samples_of_length_;
  std::vector<Survey::Example> rejections_;
  std::unordered_map<std::string, int64_t> first_with_key_;
  int64_t duplicate_count_ = 0;
  std::vector<Survey::Example> duplicates_;
};

// The survey of `samples` samples of `tokens` tokens each, read under `settings`.
// kInvalidArgument, naming the flag, if what is stored of them depends on their text.
Result<Survey> AssumedSurvey(int64_t samples, int64_t tokens, const SampleSettings& settings,
                             const UnitSize& size, const Windows& windows);

}  // namespace thresher

#endif  // THRESHER_FORECAST_SURVEY_H_
