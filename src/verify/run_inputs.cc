#include "verify/run_inputs.h"

#include <fmt/format.h>

#include <utility>

namespace thresher {
namespace {

constexpr const char* kNoRows = "rows were not compared with the data set: ";
constexpr const char* kNoRecomputation = "nothing was computed again: ";

Status Differs(const std::string& path, std::string_view what, const std::string& found,
               const std::string& expected) {
  return FailedPrecondition(
      fmt::format("{}: {} {}, the run was made with {}", path, what, found, expected));
}

Result<Model> OpenModel(const std::string& directory, const RunSpec& spec) {
  ASSIGN_OR_RETURN(Model model, LoadModel(directory));
  if (model.config_fingerprint != spec.model.config_fingerprint) {
    return Differs(directory, "the model's configuration has fingerprint", model.config_fingerprint,
                   spec.model.config_fingerprint);
  }
  return model;
}

Result<Dataset> OpenDataset(const std::string& path, const RunSpec& spec) {
  ASSIGN_OR_RETURN(Dataset dataset, Dataset::Open(path));
  const int64_t sample_count = spec.dataset.sample_count;
  if (dataset.record_count() < sample_count) {
    return FailedPrecondition(fmt::format("{} has {} records, the run was made with {}", path,
                                          dataset.record_count(), sample_count));
  }
  const std::string fingerprint = dataset.FingerprintOfFirst(sample_count);
  if (fingerprint != spec.dataset.fingerprint) {
    return Differs(path,
                   fmt::format("the data set's first {} records have fingerprint", sample_count),
                   fingerprint, spec.dataset.fingerprint);
  }
  return dataset;
}

Result<SampleReader> OpenReader(const Model& model, const RunSpec& spec) {
  SampleReaderOptions options;
  options.max_tokens = spec.prompts.max_tokens;
  options.overlong = spec.prompts.overlong == "reject" ? Overlong::kReject : Overlong::kTruncate;
  options.vocabulary_size = model.vocabulary_size;
  ASSIGN_OR_RETURN(SampleReader reader, SampleReader::Create(model.directory, options));
  if (reader.fingerprint() != spec.prompts.fingerprint) {
    return Differs(model.directory, "tokenizer and prompt have fingerprint", reader.fingerprint(),
                   spec.prompts.fingerprint);
  }
  return reader;
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
  const std::string model_directory = model_is_named ? wanted.model_directory : spec.model.path;
  Result<Model> model = OpenModel(model_directory, spec);
  if (!model.ok()) {
    if (model_is_named) return model.status();
    log.Note(kNoRows + model.status().message() + " (--model says where it is)");
    if (wanted.weights) log.Note(kNoRecomputation + model.status().message());
  } else {
    inputs.model = *std::move(model);
  }
  if (!wanted.weights) log.Note(std::string(kNoRecomputation) + "it is turned off");

  const bool dataset_is_named = !wanted.dataset_path.empty();
  Result<Dataset> dataset =
      OpenDataset(dataset_is_named ? wanted.dataset_path : spec.dataset.path, spec);
  if (!dataset.ok()) {
    if (dataset_is_named) return dataset.status();
    log.Note(kNoRows + dataset.status().message() + " (--dataset says where it is)");
  } else {
    inputs.dataset = *std::move(dataset);
  }

  if (!inputs.model) return inputs;
  if (inputs.dataset) {
    Result<SampleReader> reader = OpenReader(*inputs.model, spec);
    if (!reader.ok() && model_is_named) return reader.status();
    if (reader.ok()) {
      inputs.reader = *std::move(reader);
    } else {
      log.Note(kNoRows + reader.status().message());
    }
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
