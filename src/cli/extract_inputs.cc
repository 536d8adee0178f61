#include "cli/extract_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "cli/data_access.h"
#include "cli/version.h"
#include "extract/planner.h"
#include "extract/run_store.h"
#include "graph/hook_point.h"
#include "store/notice_store.h"

namespace thresher {
namespace {

// What a run's other readers find from any folder.
std::string AbsoluteAddress(const std::string& address) {
  if (address.find("://") != std::string::npos) return address;
  return std::filesystem::absolute(address).lexically_normal().string();
}

}  // namespace

Result<int64_t> ChooseMaxTokens(int64_t asked, int64_t max_positions) {
  if (asked == 0) return std::min(kDefaultMaxTokens, max_positions);
  if (asked <= max_positions) return asked;
  return InvalidArgument(
      fmt::format("--max-tokens {}: this model has {} positions (max_position_embeddings)", asked,
                  max_positions));
}

Result<SampleSet> OpenSamples(const ExtractOptions& options, const std::string& model_folder,
                              const ModelOutline& model, Store* index_store) {
  const ExtractSettings& settings = options.settings;
  SampleReaderOptions reader_options;
  reader_options.settings = settings.samples;
  ASSIGN_OR_RETURN(reader_options.settings.max_tokens,
                   ChooseMaxTokens(settings.samples.max_tokens, model.max_positions));
  reader_options.vocabulary_size = model.vocabulary_size;
  Result<SampleSet> samples = SampleSet::Open(settings.dataset, model_folder, reader_options,
                                              DatasetOptionsOf(options, index_store));
  if (samples.status().code() == Code::kNotFound) {
    return samples.status().WithContext("--dataset");
  }
  return samples;
}

Result<ExtractInputs> OpenInputs(const ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  ExtractInputs inputs;
  Result<std::unique_ptr<Store>> store = OpenStore(settings.output, options.store);
  if (!store.ok()) return store.status().WithContext("--output");
  inputs.store = WithNotices(*std::move(store), LinesToPeople(options.log));
  ASSIGN_OR_RETURN(const std::string model_folder, LocalModel(options));
  ASSIGN_OR_RETURN(inputs.model, LoadModel(model_folder));
  const Model& model = *inputs.model;
  ASSIGN_OR_RETURN(inputs.hooks, SelectHooks(settings.hooks, settings.layers,
                                             static_cast<int32_t>(model.layer_count)));
  ASSIGN_OR_RETURN(inputs.format, ShardFormatOf(model.graph, inputs.hooks, options.dtype));
  inputs.bytes_per_token = UnitSize::Of(inputs.format, options.shard_bytes).bytes_per_row;
  ASSIGN_OR_RETURN(inputs.samples, OpenSamples(options, model_folder, model, inputs.store.get()));
  inputs.sample_count = inputs.samples->sample_count();
  if (settings.max_samples > 0) {
    inputs.sample_count = std::min(inputs.sample_count, settings.max_samples);
  }
  return inputs;
}

Result<RunSpec> SpecOf(const ExtractOptions& options, const ExtractInputs& inputs,
                       const std::string& compute) {
  RunSpec spec;
  const Model& model = *inputs.model;
  spec.model = {.path = AbsoluteAddress(options.settings.model),
                .architecture = model.architecture,
                .layer_count = model.layer_count,
                .hidden_size = model.hidden_size,
                .config_fingerprint = model.config_fingerprint,
                .weights_fingerprint = model.weights.Fingerprint()};
  ASSIGN_OR_RETURN(std::string dataset_fingerprint,
                   inputs.samples->FingerprintOfFirst(inputs.sample_count));
  spec.dataset = {.path = AbsoluteAddress(inputs.samples->address()),
                  .fingerprint = std::move(dataset_fingerprint),
                  .sample_count = inputs.sample_count};
  spec.prompts = {.fingerprint = inputs.samples->reader().fingerprint(),
                  .settings = inputs.samples->reader().settings().ToMap()};
  for (const ShardHook& hook : inputs.format.hooks) spec.capture.hooks.push_back(hook.name);
  spec.capture.dtype = std::string(DTypeName(options.dtype));
  spec.capture.compute = compute;
  spec.capture.engine = options.settings.engine;
  ASSIGN_OR_RETURN(spec.capture.plugin,
                   EnginePluginText(options.settings.engine, options.cudnn_attention));
  spec.capture.batch_tokens = options.settings.batch_tokens;
  spec.shard_bytes = options.shard_bytes;
  spec.program_version = kVersion;
  return spec;
}

Result<std::string> ChooseCompute(Store& store, const ExtractOptions& options) {
  if (options.compute) return std::string(DTypeName(*options.compute));
  const bool has_bf16 = EngineHasBf16(options.settings.engine);
  const Result<RunSpec> spec = LoadRunSpec(store);
  if (!spec.ok() && spec.status().code() != Code::kNotFound) return spec.status();
  if (!spec.ok()) return std::string(has_bf16 ? "bf16" : "f32");
  if (spec->capture.compute == "bf16" && !has_bf16) {
    return FailedPrecondition(
        "this run computes in bf16 and this processor has no bf16 arithmetic; say --compute bf16 "
        "to emulate it, slowly");
  }
  return spec->capture.compute;
}

}  // namespace thresher
