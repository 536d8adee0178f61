#include "extract/planner.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/check.h"

namespace thresher {

Result<Plan> PlanUnits(const Dataset& dataset, const SampleReader& reader, SampleRange samples,
                       int64_t unit_tokens) {
  THRESHER_CHECK(samples.count > 0 && samples.end() <= dataset.record_count());
  constexpr int64_t kMaxExamined = 4096;
  const int64_t examined_count = std::min(samples.count, kMaxExamined);
  std::map<int64_t, int64_t> examined_tokens;  // sample -> tokens; 0 for rejected ones
  double tokens = 0;
  double bytes = 0;
  int64_t longest = 1;
  std::string first_reason;
  int64_t usable = 0;
  for (int64_t i = 0; i < examined_count; ++i) {
    const int64_t index = samples.first + i * samples.count / examined_count;
    const SampleOrRejection read = reader.Read(dataset, index);
    int64_t count = 0;
    if (const auto* sample = std::get_if<Sample>(&read)) {
      count = static_cast<int64_t>(sample->token_ids.size());
      ++usable;
    } else if (first_reason.empty()) {
      first_reason = std::get<Rejection>(read).reason;
    }
    examined_tokens[index] = count;
    longest = std::max(longest, count);
    tokens += static_cast<double>(count);
    bytes += static_cast<double>(dataset.Record(index).size());
  }
  if (usable == 0) {
    return InvalidArgument(
        "none of the " + std::to_string(examined_count) +
        " samples that were looked at can be used; the first one: " + first_reason);
  }
  std::vector<int64_t> estimates(static_cast<size_t>(samples.count));
  for (int64_t index = samples.first; index < samples.end(); ++index) {
    const auto examined = examined_tokens.find(index);
    const double estimate =
        examined != examined_tokens.end()
            ? static_cast<double>(examined->second)
            : tokens / bytes * static_cast<double>(dataset.Record(index).size());
    estimates[static_cast<size_t>(index - samples.first)] =
        std::min<int64_t>(longest, std::lround(estimate));
  }
  return Plan::Balanced(estimates, unit_tokens);
}

}  // namespace thresher
