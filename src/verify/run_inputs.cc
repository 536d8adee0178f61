#include "verify/run_inputs.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "hub/local_copy.h"

namespace thresher {
namespace {

constexpr const char* kNoRows = "rows were not compared with the data set: ";
constexpr const char* kNoRecomputation = "nothing was computed again: ";

Status Differs(const std::string& path, std::string_view what, const std::string& found,
               const std::string& expected) {
  return FailedPrecondition(
      fmt::format("{}: {} {}, the run was made with {}", path, what, found, expected));
}

Result<Model> OpenModel(const std::string& address, const RunSpec& spec) {
  ASSIGN_OR_RETURN(const std::string directory, LocalModelFolder(address, {}));
  ASSIGN_OR_RETURN(Model model, LoadModel(directory));
  if (model.config_fingerprint != spec.model.config_fingerprint) {
    return Differs(directory, "the model's configuration has fingerprint", model.config_fingerprint,
                   spec.model.config_fingerprint);
  }
  return model;
}

Result<SampleSet> OpenSamples(const std::string& address, const Model& model, const RunSpec& spec) {
  SampleReaderOptions options;
  ASSIGN_OR_RETURN(options.settings,
                   SampleSettings::FromMap(spec.prompts.settings, "run.json: prompts"));
  options.vocabulary_size = model.vocabulary_size;
  return SampleSet::Open(address, model.directory, options);
}

// That the model's tokenizer and templates make the run's prompts.
Status CheckReader(const SampleSet& samples, const Model& model, const RunSpec& spec) {
  const std::string& fingerprint = samples.reader().fingerprint();
  if (fingerprint == spec.prompts.fingerprint) return OkStatus();
  return Differs(model.directory, "tokenizer and prompt have fingerprint", fingerprint,
                 spec.prompts.fingerprint);
}

// That the data set begins with the samples of the run, or of this part of it.
Status CheckRecords(const SampleSet& samples, int64_t sample_count,
                    const std::string& expected_fingerprint) {
  if (samples.sample_count() < sample_count) {
    return FailedPrecondition(fmt::format("{} has {} samples, the run was made with {}",
                                          samples.address(), samples.sample_count(), sample_count));
  }
  ASSIGN_OR_RETURN(const std::string fingerprint, samples.FingerprintOfFirst(sample_count));
  if (fingerprint == expected_fingerprint) return OkStatus();
  return Differs(samples.address(),
                 fmt::format("the data set's first {} samples have fingerprint", sample_count),
                 fingerprint, expected_fingerprint);
}

// The data sets that the run was made from: `address` alone, or those of the merged runs. `reader`
// is set to what is wrong with the model's tokenizer and templates, if that is what is wrong.
Result<RunSamples> OpenRunSamples(const std::string& address, const Model& model,
                                  const RunSpec& spec, Status& reader) {
  std::vector<RunSpec::Part> parts = spec.dataset.parts;
  if (parts.empty()) {
    parts.push_back({.path = address,
                     .run_fingerprint = "",
                     .dataset_fingerprint = spec.dataset.fingerprint,
                     .sample_count = spec.dataset.sample_count});
  }
  RunSamples run_samples;
  for (const RunSpec::Part& part : parts) {
    ASSIGN_OR_RETURN(SampleSet samples, OpenSamples(part.path, model, spec));
    reader = CheckReader(samples, model, spec);
    RETURN_IF_ERROR(reader);
    RETURN_IF_ERROR(CheckRecords(samples, part.sample_count, part.dataset_fingerprint));
    run_samples.Append(std::move(samples), part.sample_count);
  }
  return run_samples;
}

Status CheckWeights(const Model& model, const RunSpec& spec) {
  const std::string fingerprint = model.weights.Fingerprint();
  if (fingerprint == spec.model.weights_fingerprint) return OkStatus();
  return Differs(model.directory, "the weights have fingerprint", fingerprint,
                 spec.model.weights_fingerprint);
}

}  // namespace

Result<RunInputs> RunInputs::Open(const Wanted& wanted, const RunSpec& spec, FindingLog& log,
                                  const std::function<void()>& before_weights) {
  RunInputs inputs;
  const bool model_is_named = !wanted.model_directory.empty();
  const bool dataset_is_named = !wanted.dataset_path.empty();
  const std::string model_directory = model_is_named ? wanted.model_directory : spec.model.path;
  Result<Model> model = OpenModel(model_directory, spec);
  if (!model.ok()) {
    if (model_is_named) return model.status();
    if (dataset_is_named) {
      return model.status().WithContext(
          "comparing rows with " + wanted.dataset_path +
          " takes the model, too, which is not where run.json says (--model says where it is)");
    }
    log.Note(kNoRows + model.status().message() + " (--model says where it is)");
    if (wanted.weights) log.Note(kNoRecomputation + model.status().message());
  } else {
    inputs.model = *std::move(model);
  }
  if (!wanted.weights) log.Note(std::string(kNoRecomputation) + "it is turned off");
  if (!inputs.model) return inputs;

  if (dataset_is_named && !spec.dataset.parts.empty()) {
    return FailedPrecondition(
        "--dataset: this run was merged from runs over several data sets, which are read where "
        "run.json says; verify those runs with --dataset if they are elsewhere");
  }
  Status reader;
  Result<RunSamples> samples = OpenRunSamples(
      dataset_is_named ? wanted.dataset_path : spec.dataset.path, *inputs.model, spec, reader);
  if (samples.ok()) {
    inputs.samples = *std::move(samples);
  } else if (dataset_is_named || (model_is_named && !reader.ok())) {
    return samples.status();
  } else {
    log.Note(kNoRows + samples.status().message() + " (--dataset and --model say where they are)");
  }

  if (!wanted.weights) return inputs;
  before_weights();
  const Status weights = CheckWeights(*inputs.model, spec);
  if (!weights.ok() && model_is_named) return weights;
  if (!weights.ok()) log.Note(kNoRecomputation + weights.message());
  inputs.weights_fit = weights.ok();
  return inputs;
}

}  // namespace thresher
