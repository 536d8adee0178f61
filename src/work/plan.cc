#include "work/plan.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "work/json_fields.h"

namespace thresher {

Plan Plan::Balanced(std::span<const int64_t> estimated_tokens, int64_t unit_tokens) {
  THRESHER_CHECK(!estimated_tokens.empty() && unit_tokens > 0);
  const int64_t total =
      std::accumulate(estimated_tokens.begin(), estimated_tokens.end(), int64_t{0});
  const int64_t unit_count = std::max<int64_t>(1, (total + unit_tokens - 1) / unit_tokens);
  std::vector<int64_t> boundaries = {0};
  // A boundary falls before the sample whose middle lies beyond the next multiple of the mean.
  double done = 0;
  for (size_t sample = 0; sample < estimated_tokens.size(); ++sample) {
    const auto tokens = static_cast<double>(estimated_tokens[sample]);
    const double next_boundary = static_cast<double>(total) *
                                 static_cast<double>(boundaries.size()) /
                                 static_cast<double>(unit_count);
    if (done + tokens / 2 > next_boundary && static_cast<int64_t>(sample) > boundaries.back()) {
      boundaries.push_back(static_cast<int64_t>(sample));
    }
    done += tokens;
  }
  boundaries.push_back(static_cast<int64_t>(estimated_tokens.size()));
  return Plan(std::move(boundaries));
}

Result<Plan> Plan::FromJson(std::string_view text, std::string_view name) {
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  fields.Integer("format_version", 1);
  std::vector<int64_t> boundaries = fields.Integers("boundaries");
  RETURN_IF_ERROR(fields.status());
  return FromBoundaries(std::move(boundaries), name);
}

Result<Plan> Plan::FromBoundaries(std::vector<int64_t> boundaries, std::string_view name) {
  if (boundaries.size() < 2 || boundaries.front() != 0 ||
      std::adjacent_find(boundaries.begin(), boundaries.end(), std::greater_equal<>()) !=
          boundaries.end()) {
    return DataLoss(std::string(name) +
                    ": field 'boundaries': expected integers that rise strictly from 0");
  }
  return Plan(std::move(boundaries));
}

std::string Plan::ToJson() const {
  Json json;
  json["format_version"] = 1;
  json["boundaries"] = boundaries_;
  return json.dump();
}

void Plan::Append(const Plan& more) {
  const int64_t first = sample_count();
  for (size_t i = 1; i < more.boundaries_.size(); ++i) {
    boundaries_.push_back(first + more.boundaries_[i]);
  }
}

SampleRange Plan::Samples(int64_t unit) const {
  THRESHER_CHECK(unit >= 0 && unit < unit_count());
  const auto index = static_cast<size_t>(unit);
  return {boundaries_[index], boundaries_[index + 1] - boundaries_[index]};
}

}  // namespace thresher
