#include "forecast/forecast.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <variant>

#include "base/check.h"
#include "engine/pjrt/batch_sizes.h"
#include "forecast/suggestions.h"
#include "roofline/batch_estimate.h"

namespace thresher {
namespace {

constexpr double kSecondsOfHour = 3600;
constexpr double kTera = 1e12;
constexpr double kGiga = 1e9;

std::vector<HookVolume> HookVolumes(const ShardFormat& format, double rows) {
  std::vector<HookVolume> volumes;
  for (const ShardHook& hook : format.hooks) {
    const int64_t scale_bytes = HasScale(format.dtype) ? DTypeBytes(DType::kF32) : 0;
    HookVolume volume{.name = hook.name,
                      .width = hook.width,
                      .bytes_per_row = hook.width * DTypeBytes(format.dtype) + scale_bytes};
    volume.bytes = rows * static_cast<double>(volume.bytes_per_row);
    volumes.push_back(std::move(volume));
  }
  return volumes;
}

// The whole run's work as a chip's share of it is reckoned.
struct RunWork {
  double flops = 0;
  double tokens = 0;
  double bytes = 0;         // of all shards
  double rows = 0;          // that are stored of each hook point
  double result_bytes = 0;  // of all hook points of one token, as they cross to the host
};

double ResultBytes(const ShardFormat& format) {
  const DType dtype = HasScale(format.dtype) ? DType::kF32 : format.dtype;
  double bytes = 0;
  for (const ShardHook& hook : format.hooks) {
    bytes += static_cast<double>(hook.width * DTypeBytes(dtype));
  }
  return bytes;
}

// Bytes that cross to the host for each token of a batch of so many.
double ResultBytesOfToken(const RunWork& work, double batch_tokens) {
  const auto size = static_cast<int64_t>(std::ceil(batch_tokens));
  const auto rows = static_cast<int64_t>(std::ceil(batch_tokens * work.rows / work.tokens));
  return work.result_bytes * static_cast<double>(RowCapacityFor(rows, size)) / batch_tokens;
}

// Seconds that one chip needs at the roofline, in batches of `batch_tokens`; says what bounds it.
double RooflineSeconds(const Graph& pruned, const RunWork& work, int64_t batch_tokens,
                       const Chip& chip, MachineForecast& forecast) {
  const double tokens = std::min(work.tokens, static_cast<double>(batch_tokens));
  const double batches = work.tokens / tokens;
  BatchEstimateInputs inputs{.pruned = pruned,
                             .tokens = tokens,
                             .flops = work.flops / batches,
                             .row_bytes = ResultBytesOfToken(work, tokens)};
  forecast.chips_a_batch = ChipsForModel(inputs, chip);
  inputs.chips = forecast.chips_a_batch.value_or(1);
  const Roofline roofline = RooflineOf(chip, EstimateBatchWork(inputs));
  forecast.bound = roofline.bound();
  return roofline.seconds() * static_cast<double>(inputs.chips) * batches;
}

MachineForecast ForecastFor(const MachinePrice& machine, const Graph& pruned, const RunWork& work,
                            int64_t batch_tokens, int64_t workers) {
  const auto count = static_cast<double>(workers);
  MachineForecast forecast;
  forecast.machine = machine;
  double seconds = work.flops / (machine.peak_tflops * kTera);
  if (machine.chip && work.tokens > 0) {
    seconds = RooflineSeconds(pruned, work, batch_tokens, *machine.chip, forecast);
  }
  forecast.compute_hours = seconds / machine.efficiency / count / kSecondsOfHour;
  forecast.upload_hours =
      work.bytes / (machine.upload_gb_per_second * kGiga) / count / kSecondsOfHour;
  const double machine_hours = forecast.hours() * count;
  forecast.on_demand_cost = machine_hours * machine.on_demand_per_hour;
  if (machine.spot_per_hour) forecast.spot_cost = machine_hours * *machine.spot_per_hour;
  return forecast;
}

// Those of the scheme; all of them if none is known or there are none.
template <typename Price>
std::vector<Price> OfScheme(const std::vector<Price>& prices, const std::string& scheme) {
  std::vector<Price> found;
  std::copy_if(prices.begin(), prices.end(), std::back_inserter(found),
               [&](const Price& price) { return price.scheme == scheme; });
  return scheme.empty() ? prices : found;
}

}  // namespace

Windows WindowsOf(const Graph& graph) {
  std::set<std::optional<int64_t>> windows;
  for (const Node& node : graph.nodes()) {
    if (const auto* attention = std::get_if<Attention>(&node.operation)) {
      windows.insert(attention->window);
    }
  }
  return {windows.begin(), windows.end()};
}

Result<ForwardFlops> CountForwardFlops(const Graph& graph, const std::vector<HookPoint>& hooks,
                                       const Survey& survey) {
  const Windows windows = WindowsOf(graph);
  THRESHER_CHECK(windows.size() == survey.query_key_pairs.size() && !hooks.empty());
  ASSIGN_OR_RETURN(const Graph pruned, graph.PrunedTo(hooks));
  ForwardFlops flops;
  flops.linear = pruned.CountFlops().per_token * survey.tokens.value;
  for (const Node& node : pruned.nodes()) {
    const auto* attention = std::get_if<Attention>(&node.operation);
    if (!attention) continue;
    const auto window = std::find(windows.begin(), windows.end(), attention->window);
    const Estimate& pairs = survey.query_key_pairs[static_cast<size_t>(window - windows.begin())];
    flops.attention +=
        4.0 * static_cast<double>(attention->heads * attention->head_dim) * pairs.value;
  }
  flops.deepest_hook = HookName(hooks.back());
  return flops;
}

Result<Forecast> MakeForecast(const ForecastInputs& inputs) {
  const Survey& survey = inputs.survey;
  Forecast forecast;
  forecast.bytes_per_token = static_cast<double>(inputs.unit_size.bytes_per_row);
  const auto net_unit_bytes = static_cast<double>(
      std::max<int64_t>(1, inputs.unit_size.shard_bytes - inputs.unit_size.bytes_per_shard));
  forecast.unit_count = inputs.unit_count.value_or(
      std::max<int64_t>(1, static_cast<int64_t>(std::ceil(survey.bytes.value / net_unit_bytes))));
  forecast.bytes = survey.bytes.value + static_cast<double>(forecast.unit_count) *
                                            static_cast<double>(inputs.unit_size.bytes_per_shard);
  forecast.bytes_error = survey.bytes.error;
  forecast.hooks = HookVolumes(inputs.format, survey.rows.value);
  ASSIGN_OR_RETURN(forecast.flops, CountForwardFlops(inputs.model.graph, inputs.hooks, survey));
  if (inputs.trial) {
    forecast.trial_hours = forecast.flops.all() / inputs.trial->flops_per_second /
                           static_cast<double>(inputs.workers) / kSecondsOfHour;
  }
  ASSIGN_OR_RETURN(const Graph pruned, inputs.model.graph.PrunedTo(inputs.hooks));
  const RunWork work{.flops = forecast.flops.all(),
                     .tokens = survey.tokens.value,
                     .bytes = forecast.bytes,
                     .rows = survey.rows.value,
                     .result_bytes = ResultBytes(inputs.format)};
  for (const MachinePrice& machine : inputs.machines) {
    forecast.machines.push_back(
        ForecastFor(machine, pruned, work, inputs.batch_tokens, inputs.workers));
  }
  forecast.storage = OfScheme(inputs.prices.storage, inputs.scheme);
  forecast.egress = OfScheme(inputs.prices.egress, inputs.scheme);
  ASSIGN_OR_RETURN(forecast.suggestions, MakeSuggestions(inputs));
  return forecast;
}

}  // namespace thresher
