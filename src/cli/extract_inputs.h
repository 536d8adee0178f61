#ifndef THRESHER_CLI_EXTRACT_INPUTS_H_
#define THRESHER_CLI_EXTRACT_INPUTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/extract_options.h"
#include "extract/shard_builder.h"
#include "model/model.h"
#include "sample/sample_set.h"
#include "store/store.h"
#include "work/run_spec.h"

namespace thresher {

// Everything that a worker needs, in the order in which it is made.
struct ExtractInputs {
  std::unique_ptr<Store> store;
  std::optional<Model> model;
  std::optional<SampleSet> samples;
  std::vector<HookPoint> hooks;
  ShardFormat format;
  int64_t bytes_per_token = 0;
  int64_t sample_count = 0;
};

// The longest sequence: what was asked for (0: nothing), which must fit the model's positions, else
// kDefaultMaxTokens or the positions if there are fewer.
Result<int64_t> ChooseMaxTokens(int64_t asked, int64_t max_positions);

// The samples that the settings make of their data set for a model whose folder is `model_folder`.
// `index_store` as DatasetOptionsOf.
Result<SampleSet> OpenSamples(const ExtractOptions& options, const std::string& model_folder,
                              const ModelOutline& model, Store* index_store = nullptr);

// Opens everything that the settings name; weights are mapped, not read.
Result<ExtractInputs> OpenInputs(const ExtractOptions& options);

// What the run computes, and from what. Reads all weights for their fingerprint.
Result<RunSpec> SpecOf(const ExtractOptions& options, const ExtractInputs& inputs,
                       const std::string& compute);

// Which arithmetic: what was asked for, else what the run has, else what the engine does best.
Result<std::string> ChooseCompute(Store& store, const ExtractOptions& options);

}  // namespace thresher

#endif  // THRESHER_CLI_EXTRACT_INPUTS_H_
