#ifndef THRESHER_VERIFY_FINDING_H_
#define THRESHER_VERIFY_FINDING_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace thresher {

enum class Severity {
  kDamage,      // stored bytes are not what they should be
  kIncomplete,  // work that is not done yet, or was left behind half done
  kWarning,     // right as stored, but worth a look: values that are not finite
  kNote,        // for information: what was set aside, what was not checked, what is left over
};

// "damage", "incomplete", "warning", "note".
std::string_view SeverityName(Severity severity);

// One thing that verification found.
struct Finding {
  Severity severity = Severity::kDamage;
  std::optional<int64_t> unit;  // nothing: the run as a whole
  std::string tensor;           // of the unit's shard; "header" for the bytes before the tensors
  std::string what;             // for people; names the object where that is not the unit's shard
};

// "DAMAGE unit 3, tensor token_ids: ...".
std::string FindingLine(const Finding& finding);

// Collects findings from several threads.
class FindingLog {
 public:
  // `on_finding` may be empty; it is called with each finding at once, by one thread at a time.
  explicit FindingLog(std::function<void(const Finding&)> on_finding)
      : on_finding_(std::move(on_finding)) {}

  void Add(Finding finding);
  void Damage(std::optional<int64_t> unit, std::string tensor, std::string what) {
    Add({Severity::kDamage, unit, std::move(tensor), std::move(what)});
  }
  void Note(std::string what) { Add({Severity::kNote, std::nullopt, "", std::move(what)}); }

  int64_t damage_count() const;

  // All of them; those of the run first, then by unit.
  std::vector<Finding> Sorted() const;

 private:
  std::function<void(const Finding&)> on_finding_;
  mutable std::mutex mutex_;
  std::vector<Finding> findings_;
  int64_t damage_count_ = 0;
};

// "17, 18, 19 and 204 more", at most ten of them.
std::string FirstFew(const std::vector<int64_t>& numbers);

// "2-54, 58, 60-79", of numbers that differ, in any order.
std::string RangesText(std::vector<int64_t> numbers);

}  // namespace thresher

#endif  // THRESHER_VERIFY_FINDING_H_
