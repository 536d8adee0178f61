#ifndef THRESHER_FORECAST_FORECAST_H_
#define THRESHER_FORECAST_FORECAST_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "extract/shard_builder.h"
#include "forecast/prices.h"
#include "forecast/survey.h"
#include "graph/hook_point.h"
#include "model/model.h"

namespace thresher {

// How fast this machine ran the model (RunTrial).
struct TrialSpeed {
  double flops_per_second = 0;
  double tokens_per_second = 0;
  double seconds = 0;  // that were measured
  std::string engine;  // "cpu, bf16, 2 threads, avx512-bf16"
};

// What a forecast is made of.
struct ForecastInputs {
  const ModelOutline& model;
  std::vector<HookPoint> hooks = {};  // sorted
  ShardFormat format = {};            // of those hook points
  UnitSize unit_size = {};
  Survey survey = {};  // its windows are those of WindowsOf
  std::string token_selection = "all";
  int64_t variants = 1;  // samples of each record
  std::optional<int64_t> unit_count =
      std::nullopt;  // as planned; nothing: worked out from the bytes
  int64_t workers = 1;
  int64_t batch_tokens = 2048;  // of an accelerator's batches
  std::optional<TrialSpeed> trial = std::nullopt;
  PriceList prices = {};
  std::vector<MachinePrice> machines = {};
  std::string scheme = {};  // of the output: "gs"; empty: not known
};

struct HookVolume {
  std::string name;
  int64_t width = 0;
  int64_t bytes_per_row = 0;  // scale included
  double bytes = 0;           // of all rows
};

// Multiply-add FLOPs of the forward pass up to the deepest hook point.
struct ForwardFlops {
  double linear = 0;
  double attention = 0;  // scores and mixing, of the pairs that causal attention looks at
  std::string deepest_hook;

  double all() const { return linear + attention; }
};

// A price list's machine at this work.
struct MachineForecast {
  MachinePrice machine;
  double compute_hours = 0;  // of the whole run with all workers side by side
  double upload_hours = 0;   // the same; the two overlap
  // Of a machine whose chip is known (RooflineOf): what bounds its computing, "compute", "memory"
  // or "links"; and how many chips share each batch because one does not hold the model. Nothing:
  // eight do not hold it either, and the other figures leave that out of account.
  std::string bound = "compute";
  std::optional<int64_t> chips_a_batch = 1;
  double hours() const { return std::max(compute_hours, upload_hours); }
  double on_demand_cost = 0;
  std::optional<double> spot_cost;
};

// A change of the settings, and what would then be stored.
struct Suggestion {
  std::string what;
  std::string flags;
  std::optional<double> bytes;  // nothing: depends on the text of the data
};

// What a run will be. Value type.
struct Forecast {
  double bytes = 0;            // of all shards
  double bytes_error = 0;      // as Estimate
  double bytes_per_token = 0;  // of a stored token, all hook points together
  int64_t unit_count = 0;
  std::vector<HookVolume> hooks;
  ForwardFlops flops;
  std::optional<double> trial_hours;  // with all workers side by side
  std::vector<MachineForecast> machines;
  std::vector<StoragePrice> storage;  // those of the output's scheme, or all
  std::vector<EgressPrice> egress;
  std::vector<Suggestion> suggestions;
};

// The attention windows of the layers, each once.
Windows WindowsOf(const Graph& graph);

// The FLOPs of the samples of a survey made with WindowsOf(graph).
Result<ForwardFlops> CountForwardFlops(const Graph& graph, const std::vector<HookPoint>& hooks,
                                       const Survey& survey);

Result<Forecast> MakeForecast(const ForecastInputs& inputs);

}  // namespace thresher

#endif  // THRESHER_FORECAST_FORECAST_H_
