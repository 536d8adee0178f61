#include <nlohmann/json.hpp>
#include <string>

#include "forecast/report.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

Json EstimateJson(const Estimate& estimate) {
  return {{"value", estimate.value}, {"error_95", estimate.error}};
}

Json ExamplesJson(const std::vector<Survey::Example>& examples) {
  Json array = Json::array();
  for (const Survey::Example& example : examples) {
    array.push_back({{"sample", example.sample}, {"text", example.text}});
  }
  return array;
}

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json OriginJson(Json price, const PriceOrigin& origin) {
  price["as_of"] = origin.as_of;
  price["source"] = origin.source;
  return price;
}

Json SurveyJson(const Survey& survey) {
  Json lengths = {{"min", survey.lengths.least},
                  {"median", survey.lengths.median},
                  {"p90", survey.lengths.p90},
                  {"p99", survey.lengths.p99},
                  {"max", survey.lengths.most}};
  lengths["histogram"] = Json::array();
  for (const LengthSummary::Bar& bar : survey.lengths.bars) {
    lengths["histogram"].push_back(
        {{"from", bar.least}, {"to", bar.most}, {"samples", bar.samples}});
  }
  return {{"count", survey.sample_count},
          {"examined", survey.examined_count},
          {"exact", survey.IsExact()},
          {"tokens", EstimateJson(survey.tokens)},
          {"stored_tokens", EstimateJson(survey.rows)},
          {"sequences", EstimateJson(survey.sequences)},
          {"truncated", EstimateJson(survey.truncated)},
          {"split", EstimateJson(survey.split)},
          {"rejected", EstimateJson(survey.rejected)},
          {"lengths", std::move(lengths)},
          {"rejections", ExamplesJson(survey.rejections)},
          {"duplicate_ids", OrNull(survey.duplicate_keys)},
          {"duplicates", ExamplesJson(survey.duplicates)}};
}

Json StorageJson(const ForecastInputs& inputs, const Forecast& forecast) {
  Json hooks = Json::array();
  for (const HookVolume& hook : forecast.hooks) {
    hooks.push_back({{"name", hook.name},
                     {"width", hook.width},
                     {"bytes_per_token", hook.bytes_per_row},
                     {"bytes", hook.bytes}});
  }
  return {{"bytes", forecast.bytes},
          {"error_95", forecast.bytes_error},
          {"dtype", DTypeName(inputs.format.dtype)},
          {"bytes_per_token", forecast.bytes_per_token},
          {"units", forecast.unit_count},
          {"shard_bytes", forecast.bytes / static_cast<double>(forecast.unit_count)},
          {"hooks", std::move(hooks)}};
}

Json TrialJson(const ForecastInputs& inputs, const Forecast& forecast) {
  if (!inputs.trial) return nullptr;
  return {{"engine", inputs.trial->engine},
          {"seconds", inputs.trial->seconds},
          {"tokens_per_second", inputs.trial->tokens_per_second},
          {"flops_per_second", inputs.trial->flops_per_second},
          {"hours", OrNull(forecast.trial_hours)}};
}

Json MoneyJson(const ForecastInputs& inputs, const Forecast& forecast) {
  const double gigabytes = forecast.bytes * 1e-9;
  Json json = {{"currency", inputs.prices.currency},
               {"prices", inputs.prices.path},
               {"machines", Json::array()},
               {"storage", Json::array()},
               {"egress", Json::array()}};
  for (const MachineForecast& machine : forecast.machines) {
    json["machines"].push_back(
        OriginJson({{"name", machine.machine.name},
                    {"peak_tflops", machine.machine.peak_tflops},
                    {"efficiency", machine.machine.efficiency},
                    {"chip", machine.machine.chip ? Json(machine.machine.chip->name) : Json()},
                    {"chips_a_batch", OrNull(machine.chips_a_batch)},
                    {"compute_bound_by", machine.bound},
                    {"compute_hours", machine.compute_hours},
                    {"upload_hours", machine.upload_hours},
                    {"hours", machine.hours()},
                    {"on_demand", machine.on_demand_cost},
                    {"spot", OrNull(machine.spot_cost)}},
                   machine.machine.origin));
  }
  for (const StoragePrice& price : forecast.storage) {
    json["storage"].push_back(OriginJson(
        {{"name", price.name}, {"per_month", gigabytes * price.per_gb_month}}, price.origin));
  }
  for (const EgressPrice& price : forecast.egress) {
    json["egress"].push_back(
        OriginJson({{"name", price.name}, {"each_time", gigabytes * price.per_gb}}, price.origin));
  }
  return json;
}

}  // namespace

std::string ForecastJson(const ReportContext& context, const ForecastInputs& inputs,
                         const Forecast& forecast) {
  Json suggestions = Json::array();
  for (const Suggestion& suggestion : forecast.suggestions) {
    suggestions.push_back({{"what", suggestion.what},
                           {"flags", suggestion.flags},
                           {"bytes", OrNull(suggestion.bytes)}});
  }
  const Json json = {{"dataset", context.dataset.empty() ? Json(nullptr) : Json(context.dataset)},
                     {"records", context.record_count},
                     {"variants", context.settings.variants},
                     {"model",
                      {{"path", context.model},
                       {"architecture", inputs.model.architecture},
                       {"layers", inputs.model.layer_count},
                       {"hidden_size", inputs.model.hidden_size}}},
                     {"samples", SurveyJson(inputs.survey)},
                     {"storage", StorageJson(inputs, forecast)},
                     {"flops",
                      {{"linear", forecast.flops.linear},
                       {"attention", forecast.flops.attention},
                       {"deepest_hook", forecast.flops.deepest_hook}}},
                     {"workers", inputs.workers},
                     {"trial", TrialJson(inputs, forecast)},
                     {"money", MoneyJson(inputs, forecast)},
                     {"suggestions", std::move(suggestions)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace thresher
