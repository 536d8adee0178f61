#include "merge/merged_spec.h"

#include <string>

#include "base/fingerprint.h"

namespace thresher {
namespace {

std::vector<RunSpec::Part> PartsOf(const Run& run) {
  if (!run.spec.dataset.parts.empty()) return run.spec.dataset.parts;
  return {{.path = run.spec.dataset.path,
           .run_fingerprint = run.fingerprint,
           .dataset_fingerprint = run.spec.dataset.fingerprint,
           .sample_count = run.spec.dataset.sample_count,
           .unit_count = run.plan.unit_count()}};
}

// Of what the samples are: the parts' data sets in their order.
std::string FingerprintOf(const std::vector<RunSpec::Part>& parts) {
  Fingerprinter fingerprinter;
  for (const RunSpec::Part& part : parts) {
    fingerprinter.AddField(part.dataset_fingerprint);
    fingerprinter.AddField(std::to_string(part.sample_count));
  }
  return fingerprinter.Finish();
}

Status CheckAgreement(const MergePart& first, const MergePart& other) {
  RunSpec with_firsts_dataset = other.run.spec;
  with_firsts_dataset.dataset = first.run.spec.dataset;
  const std::vector<std::string> lines =
      DifferingFields(first.run.spec, with_firsts_dataset, {"the first", "the second"});
  if (lines.empty()) return OkStatus();
  std::string message = first.url + " and " + other.url + " differ in more than their data sets:";
  for (const std::string& line : lines) message += "\n  " + line;
  message += "\nOnly runs with the same model, prompts, hook points and storage can be merged";
  return FailedPrecondition(std::move(message));
}

}  // namespace

Result<RunSpec> MergedSpec(const std::vector<MergePart>& parts) {
  RunSpec spec = parts.front().run.spec;
  spec.dataset = {};
  for (const MergePart& part : parts) {
    RETURN_IF_ERROR(CheckAgreement(parts.front(), part));
    for (const RunSpec::Part& added : PartsOf(part.run)) {
      for (const RunSpec::Part& present : spec.dataset.parts) {
        if (present.dataset_fingerprint != added.dataset_fingerprint) continue;
        return FailedPrecondition(part.url + ": its data set " + added.path +
                                  " is there already (" + present.path +
                                  " of a run before it): every sample would be stored twice");
      }
      spec.dataset.path += (spec.dataset.parts.empty() ? "" : ", ") + added.path;
      spec.dataset.sample_count += added.sample_count;
      spec.dataset.parts.push_back(added);
    }
  }
  spec.dataset.fingerprint = FingerprintOf(spec.dataset.parts);
  return spec;
}

Plan MergedPlan(const std::vector<MergePart>& parts) {
  Plan plan = parts.front().run.plan;
  for (size_t i = 1; i < parts.size(); ++i) plan.Append(parts[i].run.plan);
  return plan;
}

}  // namespace thresher
