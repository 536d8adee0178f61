#ifndef THRESHER_WORK_PLAN_H_
#define THRESHER_WORK_PLAN_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

struct SampleRange {
  int64_t first = 0;
  int64_t count = 0;

  int64_t end() const { return first + count; }
};

// Where the units of a run begin and end: contiguous ranges of sample indices that cover every
// sample exactly once. Immutable once stored.
class Plan {
 public:
  // Units of about `unit_tokens` tokens each, all of about the same size, from the estimated number
  // of tokens of every sample. A sample is never divided; every unit has at least one.
  static Plan Balanced(std::span<const int64_t> estimated_tokens, int64_t unit_tokens);

  // kDataLoss unless `boundaries` rise strictly from 0. `name` begins the message.
  static Result<Plan> FromBoundaries(std::vector<int64_t> boundaries, std::string_view name);
  static Result<Plan> FromJson(std::string_view text, std::string_view name);
  std::string ToJson() const;

  int64_t unit_count() const { return static_cast<int64_t>(boundaries_.size()) - 1; }
  int64_t sample_count() const { return boundaries_.back(); }
  SampleRange Samples(int64_t unit) const;
  const std::vector<int64_t>& boundaries() const { return boundaries_; }

  // Adds the units of `more`, whose samples follow those of this plan.
  void Append(const Plan& more);

 private:
  explicit Plan(std::vector<int64_t> boundaries) : boundaries_(std::move(boundaries)) {}

  std::vector<int64_t> boundaries_;  // unit u is samples [boundaries_[u], boundaries_[u + 1])
};

}  // namespace thresher

#endif  // THRESHER_WORK_PLAN_H_
