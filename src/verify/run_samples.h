#ifndef THRESHER_VERIFY_RUN_SAMPLES_H_
#define THRESHER_VERIFY_RUN_SAMPLES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sample/sample_set.h"

namespace thresher {

// The samples of a run as its data sets give them again: one data set, or in a merged run those of
// its parts, one after another. Thread-safe.
class RunSamples {
 public:
  // The next data set, of which the run uses the first `count` samples.
  void Append(SampleSet samples, int64_t count) { parts_.push_back({std::move(samples), count}); }

  // Samples [first, first + count) of the run, which must exist and be of one part. Errors as of
  // SampleSet::Read.
  Result<std::vector<SampleOrRejection>> Read(int64_t first, int64_t count) const {
    size_t part = 0;
    for (; part + 1 < parts_.size() && first >= parts_[part].count; ++part) {
      first -= parts_[part].count;
    }
    return parts_[part].samples.Read(first, count);
  }

 private:
  struct Part {
    SampleSet samples;
    int64_t count = 0;
  };
  std::vector<Part> parts_;
};

}  // namespace thresher

#endif  // THRESHER_VERIFY_RUN_SAMPLES_H_
