#include "verify/sample_census.h"

#include <fmt/format.h>

namespace thresher {

void SampleCensus::Count(int64_t sample) {
  if (sample < 0 || sample >= static_cast<int64_t>(counts_.size())) return;
  std::atomic<uint8_t>& count = counts_[static_cast<size_t>(sample)];
  uint8_t seen = count.load();
  // Stops at 255 instead of beginning again at 0.
  while (seen < UINT8_MAX && !count.compare_exchange_weak(seen, static_cast<uint8_t>(seen + 1))) {
  }
}

void SampleCensus::Report(const RunRecords& records, const std::vector<char>& is_counted,
                          FindingLog& log) const {
  for (size_t unit = 0; unit < records.units.size(); ++unit) {
    const SampleRange range = records.run.plan.Samples(static_cast<int64_t>(unit));
    std::vector<int64_t> missing;
    std::vector<int64_t> repeated;
    for (int64_t sample = range.first; sample < range.end(); ++sample) {
      const int count = counts_[static_cast<size_t>(sample)].load();
      if (count == 0 && is_counted[unit]) missing.push_back(sample);
      if (count > 1) repeated.push_back(sample);
    }
    if (!missing.empty()) {
      log.Damage(static_cast<int64_t>(unit), "sample_index",
                 fmt::format("{} samples are neither stored nor rejected: {}", missing.size(),
                             FirstFew(missing)));
    }
    if (!repeated.empty()) {
      log.Damage(static_cast<int64_t>(unit), "sample_index",
                 fmt::format("{} samples are in the run more than once: {}", repeated.size(),
                             FirstFew(repeated)));
    }
  }
}

}  // namespace thresher
