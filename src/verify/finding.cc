#include "verify/finding.h"

#include <fmt/format.h>

#include <algorithm>

namespace thresher {

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kDamage:
      return "damage";
    case Severity::kIncomplete:
      return "incomplete";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "";
}

std::string FindingLine(const Finding& finding) {
  std::string line(SeverityName(finding.severity));
  if (finding.unit) line += fmt::format(": unit {}", *finding.unit);
  if (!finding.tensor.empty()) {
    line += fmt::format("{}tensor {}", finding.unit ? ", " : ": ", finding.tensor);
  }
  return line + ": " + finding.what;
}

void FindingLog::Add(Finding finding) {
  std::lock_guard lock(mutex_);
  if (finding.severity == Severity::kDamage) ++damage_count_;
  if (on_finding_) on_finding_(finding);
  findings_.push_back(std::move(finding));
}

int64_t FindingLog::damage_count() const {
  std::lock_guard lock(mutex_);
  return damage_count_;
}

std::vector<Finding> FindingLog::Sorted() const {
  std::lock_guard lock(mutex_);
  std::vector<Finding> sorted = findings_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Finding& a, const Finding& b) { return a.unit < b.unit; });
  return sorted;
}

std::string FirstFew(const std::vector<int64_t>& numbers) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(numbers.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(numbers[i]);
  }
  if (numbers.size() > kShown) text += fmt::format(" and {} more", numbers.size() - kShown);
  return text;
}

std::string RangesText(std::vector<int64_t> numbers) {
  std::ranges::sort(numbers);
  std::string text;
  for (size_t first = 0; first < numbers.size();) {
    size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += fmt::format("{}{}", first == 0 ? "" : ", ", numbers[first]);
    if (last > first) text += fmt::format("-{}", numbers[last]);
    first = last + 1;
  }
  return text;
}

}  // namespace thresher
