#include "verify/run_inputs.h"

#include <fmt/format.h>

#include <utility>

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

Status CheckRecords(const SampleSet& samples, const RunSpec& spec) {
  const int64_t sample_count = spec.dataset.sample_count;
  if (samples.sample_count() < sample_count) {
    return FailedPrecondition(fmt::format("{} has {} samples, the run was made with {}",
                                          samples.address(), samples.sample_count(), sample_count));
  }
  ASSIGN_OR_RETURN(const std::string fingerprint, samples.FingerprintOfFirst(sample_count));
  if (fingerprint == spec.dataset.fingerprint) return OkStatus();
  return Differs(samples.address(),
                 fmt::format("the data set's first {} samples have fingerprint", sample_count),
                 fingerprint, spec.dataset.fingerprint);
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

  Result<SampleSet> samples =
      OpenSamples(dataset_is_named ? wanted.dataset_path : spec.dataset.path, *inputs.model, spec);
  const Status reader =
      samples.ok() ? CheckReader(*samples, *inputs.model, spec) : samples.status();
  if (samples.ok() && !reader.ok() && model_is_named) return reader;
  const Status records = reader.ok() ? CheckRecords(*samples, spec) : reader;
  if (!records.ok() && dataset_is_named) return records;
  if (!records.ok()) {
    log.Note(kNoRows + records.message() + " (--dataset and --model say where they are)");
  } else {
    inputs.samples = *std::move(samples);
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
