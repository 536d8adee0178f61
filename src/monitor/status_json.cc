#include "monitor/status_json.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

Json WorkerJson(const WorkerStatus& worker) {
  const Heartbeat& beat = worker.heartbeat;
  return {{"worker", beat.worker_id},
          {"session", beat.session},
          {"state", WorkerStateName(worker.state)},
          {"alive", worker.is_alive() || worker.state == WorkerState::kEnding},
          {"heartbeat_age_ms", worker.age_ms},
          {"stalled_ms", worker.stalled_ms},
          {"restarts", worker.restarts},
          {"host", beat.host},
          {"process_id", beat.process_id},
          {"engine", beat.engine},
          {"program_version", beat.program_version},
          {"units_held", beat.units_held},
          {"units_committed", beat.units_committed},
          {"units_duplicate", beat.units_duplicate},
          {"units_failed", beat.units_failed},
          {"units_taken_over", beat.units_taken_over},
          {"samples_committed", beat.samples_committed},
          {"samples_rejected", beat.samples_rejected},
          {"tokens_committed", beat.tokens_committed},
          {"tokens_computed", beat.tokens_computed},
          {"bytes_committed", beat.bytes_committed},
          {"bytes_uploaded", beat.bytes_uploaded},
          {"uploads_failed", beat.uploads_failed},
          {"tokens_per_second", beat.tokens_per_second},
          {"recent_tokens_per_second", beat.recent_tokens_per_second},
          {"recent_bytes_per_second", beat.recent_bytes_per_second},
          {"engine_seconds", beat.engine_seconds},
          {"wait_for_unit_seconds", beat.wait_for_unit_seconds},
          {"wait_for_arena_seconds", beat.wait_for_arena_seconds},
          {"upload_seconds", beat.upload_seconds},
          {"last_error", beat.last_error}};
}

Json HistogramJson(const Histogram& histogram) {
  return {{"first", histogram.first}, {"counts", histogram.counts}};
}

Json CostJson(const RunStatus& status, const std::optional<RunPrices>& prices) {
  Json json = {{"machine_hours", status.machine_hours}};
  if (!prices) return json;
  json["machine"] = prices->machine;
  json["currency"] = prices->currency;
  json["prices_as_of"] = prices->as_of;
  json["machines"] = status.machine_hours * prices->per_machine_hour;
  if (prices->per_gb_month) {
    constexpr double kBytesPerGb = 1e9;
    json["storage_per_month"] =
        static_cast<double>(status.bytes) / kBytesPerGb * *prices->per_gb_month;
  }
  return json;
}

void AddProblems(const RunStatus& status, Json& json) {
  json["quarantined_count"] = status.quarantined_count;
  json["quarantined"] = Json::array();
  for (const Quarantine& unit : status.quarantined) {
    json["quarantined"].push_back({{"unit", unit.unit},
                                   {"first_sample", unit.first_sample},
                                   {"sample_count", unit.sample_count},
                                   {"errors", unit.errors}});
  }
  json["first_rejected"] = Json::array();
  for (const RejectedSample& sample : status.rejected) {
    json["first_rejected"].push_back({{"sample", sample.sample}, {"reason", sample.reason}});
  }
}

void AddTimes(const RunStatus& status, Json& json) {
  json["now_ms"] = status.now_ms;
  json["started_ms"] = status.started_ms;
  json["ended_ms"] = status.ended_ms > 0 ? Json(status.ended_ms) : Json();
  json["last_finished_ms"] = status.last_finished_ms;
  json["remaining_ms"] = status.remaining_ms ? Json(*status.remaining_ms) : Json();
  json["tokens_per_second"] = status.tokens_per_second;
  json["bytes_per_second"] = status.bytes_per_second;
  json["overall_tokens_per_second"] = status.overall_tokens_per_second;
  json["overall_bytes_per_second"] = status.overall_bytes_per_second;
}

}  // namespace

Json AlertJson(const Alert& alert) {
  return {{"name", AlertName(alert.kind)},
          {"severity", AlertSeverityName(SeverityOf(alert.kind))},
          {"text", alert.text}};
}

Json StatusJson(const RunStatus& status, std::span<const Alert> alerts,
                const std::optional<RunPrices>& prices) {
  Json json = {{"url", status.url},
               {"state", RunStateName(status.state)},
               {"unit_count", status.unit_count},
               {"units_committed", status.committed_count},
               {"sample_count", status.sample_count},
               {"totals_from", TotalsSourceName(status.totals_source)},
               {"samples_stored", status.samples_stored},
               {"samples_rejected", status.samples_rejected},
               {"samples_truncated", status.samples_truncated},
               {"tokens", status.tokens},
               {"forward_tokens", status.forward_tokens},
               {"bytes", status.bytes}};
  AddTimes(status, json);
  json["leases_listed"] = status.are_leases_listed;
  json["leases"] = status.lease_count;
  json["leases_taken_over"] = status.taken_over_count;
  json["largest_epoch"] = status.largest_epoch;
  json["failed_attempts"] = status.failed_attempts;
  json["duplicates"] = status.duplicates;
  json["units"] = Json::object();
  for (size_t i = 0; i < kUnitConditions; ++i) {
    json["units"][std::string(UnitConditionName(static_cast<UnitCondition>(i)))] =
        status.unit_counts[i];
  }
  json["alerts"] = Json::array();
  for (const Alert& alert : alerts) json["alerts"].push_back(AlertJson(alert));
  json["cost"] = CostJson(status, prices);
  AddProblems(status, json);
  json["workers"] = Json::array();
  for (const WorkerStatus& worker : status.workers) json["workers"].push_back(WorkerJson(worker));
  json["finished"] = Json::array();
  for (const FinishedBin& bin : status.finished) {
    json["finished"].push_back({{"end_ms", bin.end_ms}, {"units", bin.units}});
  }
  json["shard_bytes"] = HistogramJson(status.shard_bytes);
  json["sequence_tokens"] = HistogramJson(status.sequence_tokens);
  json["unreadable"] = status.unreadable;
  return json;
}

}  // namespace thresher
