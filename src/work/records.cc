#include "work/records.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "base/crc32c.h"
#include "work/commit_text.h"
#include "work/json_fields.h"

namespace thresher {
namespace {

// Text of other people's making (errors, paths) may hold any bytes; JSON holds UTF-8 only.
std::string Dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string ChecksumOfText(std::string_view text) {
  return FormatCrc32c(ExtendCrc32c(0, std::as_bytes(std::span(text.data(), text.size()))));
}

Json ToJson(const TensorStatistics& s) {
  return {{"count", s.count},
          {"not_finite", s.not_finite},
          {"sum", s.sum},
          {"sum_squares", s.sum_squares},
          {"max_abs", s.max_abs}};
}

// Fields of a heartbeat that those of older programs lack.
struct OptionalInteger {
  const char* name;
  int64_t Heartbeat::*value;
};
constexpr OptionalInteger kHeartbeatIntegers[] = {
    {"lease_ttl_ms", &Heartbeat::lease_ttl_ms},
    {"beat_interval_ms", &Heartbeat::beat_interval_ms},
    {"forward_tokens_committed", &Heartbeat::forward_tokens_committed},
    {"samples_rejected", &Heartbeat::samples_rejected},
    {"samples_truncated", &Heartbeat::samples_truncated},
    {"units_failed", &Heartbeat::units_failed},
    {"units_taken_over", &Heartbeat::units_taken_over},
    {"bytes_uploaded", &Heartbeat::bytes_uploaded},
    {"uploads_failed", &Heartbeat::uploads_failed},
    {"upload_failed_unix_ms", &Heartbeat::upload_failed_unix_ms},
    {"unit_failed_unix_ms", &Heartbeat::unit_failed_unix_ms},
    {"progressed_unix_ms", &Heartbeat::progressed_unix_ms},
};
struct OptionalNumber {
  const char* name;
  double Heartbeat::*value;
};
constexpr OptionalNumber kHeartbeatNumbers[] = {
    {"recent_tokens_per_second", &Heartbeat::recent_tokens_per_second},
    {"recent_bytes_per_second", &Heartbeat::recent_bytes_per_second},
    {"engine_seconds", &Heartbeat::engine_seconds},
    {"wait_for_unit_seconds", &Heartbeat::wait_for_unit_seconds},
    {"wait_for_arena_seconds", &Heartbeat::wait_for_arena_seconds},
    {"upload_seconds", &Heartbeat::upload_seconds},
};

}  // namespace

std::string Lease::ToText() const {
  return Dump({{"unit", unit}, {"epoch", epoch}, {"worker", worker_id}, {"session", session}});
}

Result<Lease> Lease::FromText(std::string_view text, std::string_view name) {
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  Lease lease{.unit = fields.Integer("unit", 0),
              .epoch = fields.Integer("epoch", 1),
              .worker_id = fields.Integer("worker", 0),
              .session = fields.String("session")};
  RETURN_IF_ERROR(fields.status());
  return lease;
}

std::string LeaseEndRecord::ToText() const {
  return Dump({{"session", session}, {"reason", reason}});
}

Result<LeaseEndRecord> LeaseEndRecord::FromText(std::string_view text, std::string_view name) {
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  LeaseEndRecord end{.session = fields.String("session"), .reason = fields.String("reason")};
  RETURN_IF_ERROR(fields.status());
  return end;
}

std::string Commit::ToText() const {
  Json json;
  json["format_version"] = 1;
  json["run"] = run_fingerprint;
  json["unit"] = unit;
  json["epoch"] = epoch;
  json["worker"] = worker_id;
  json["session"] = session;
  json["first_sample"] = first_sample;
  json["sample_count"] = sample_count;
  json["sequence_count"] = sequence_count;
  json["token_count"] = token_count;
  json["forward_token_count"] = forward_token_count;
  json["truncated_count"] = truncated_count;
  json["shard"] = shard;
  json["bytes"] = bytes;
  json["checksum"] = checksum;
  json["header_checksum"] = header_checksum;
  json["tensors"] = Json::object();
  for (const TensorRecord& tensor : tensors) json["tensors"][tensor.name] = tensor.checksum;
  json["statistics"] = Json::object();
  for (const HookStatistics& hook : statistics) {
    json["statistics"][hook.name] = thresher::ToJson(hook.statistics);
  }
  json["rejected"] = Json::array();
  for (const RejectedSample& sample : rejected) {
    json["rejected"].push_back({{"sample", sample.sample}, {"reason", sample.reason}});
  }
  json["committed_unix_ms"] = committed_unix_ms;
  // The checksum is of the text as a reader will see it: after the replacement of invalid UTF-8.
  json = Json::parse(Dump(json));
  json["record_checksum"] = ChecksumOfText(Dump(json));
  return Dump(json, 1) + "\n";
}

Result<Commit> Commit::FromText(std::string_view text, std::string_view name) {
  if (std::optional<Commit> written = ReadCommitAsWritten(text)) return *std::move(written);
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  Commit commit;
  fields.Integer("format_version", 1);
  commit.run_fingerprint = fields.String("run");
  commit.unit = fields.Integer("unit", 0);
  commit.epoch = fields.Integer("epoch", 1);
  commit.worker_id = fields.Integer("worker", 0);
  commit.session = fields.String("session");
  commit.first_sample = fields.Integer("first_sample", 0);
  commit.sample_count = fields.Integer("sample_count", 1);
  commit.sequence_count = fields.Integer("sequence_count", 0);
  commit.token_count = fields.Integer("token_count", 0);
  // Records from before tokens could be selected lack it: every token's row is stored.
  commit.forward_token_count = fields.Has("forward_token_count")
                                   ? fields.Integer("forward_token_count", 0)
                                   : commit.token_count;
  commit.truncated_count = fields.Integer("truncated_count", 0);
  commit.shard = fields.String("shard");
  commit.bytes = fields.Integer("bytes", 1);
  commit.checksum = fields.String("checksum");
  commit.header_checksum = fields.String("header_checksum");
  for (const auto& [tensor, checksum] : fields.Object("tensors").items()) {
    const bool is_text = checksum.is_string();
    commit.tensors.push_back({tensor, is_text ? checksum.get<std::string>() : std::string()});
  }
  for (const auto& [hook, statistics] : fields.Object("statistics").items()) {
    JsonFields s(statistics, std::string(name) + ": statistics of " + hook);
    commit.statistics.push_back({hook,
                                 {.count = s.Integer("count", 0),
                                  .not_finite = s.Integer("not_finite", 0),
                                  .sum = s.Number("sum"),
                                  .sum_squares = s.Number("sum_squares"),
                                  .max_abs = s.Number("max_abs")}});
    fields.Add(s.status());
  }
  for (const Json& sample : fields.Array("rejected")) {
    JsonFields r(sample, std::string(name) + ": rejected");
    commit.rejected.push_back({.sample = r.Integer("sample", 0), .reason = r.String("reason")});
    fields.Add(r.status());
  }
  commit.committed_unix_ms = fields.Integer("committed_unix_ms", 0);
  const std::string stored_checksum = fields.String("record_checksum");
  RETURN_IF_ERROR(fields.status());
  Json without_checksum = json;
  without_checksum.erase("record_checksum");
  const std::string actual_checksum = ChecksumOfText(Dump(without_checksum));
  if (actual_checksum != stored_checksum) {
    return DataLoss(std::string(name) + ": field 'record_checksum': expected " + actual_checksum +
                    ", found " + stored_checksum + "; the record was changed after it was written");
  }
  return commit;
}

std::string Heartbeat::ToText() const {
  Json json;
  json["worker"] = worker_id;
  json["session"] = session;
  json["state"] = state;
  json["host"] = host;
  json["process_id"] = process_id;
  json["program_version"] = program_version;
  json["engine"] = engine;
  json["started_unix_ms"] = started_unix_ms;
  json["updated_unix_ms"] = updated_unix_ms;
  json["units_held"] = units_held;
  json["units_committed"] = units_committed;
  json["units_duplicate"] = units_duplicate;
  json["samples_committed"] = samples_committed;
  json["tokens_committed"] = tokens_committed;
  json["bytes_committed"] = bytes_committed;
  json["tokens_computed"] = tokens_computed;
  json["tokens_per_second"] = tokens_per_second;
  json["last_error"] = last_error;
  for (const OptionalInteger& field : kHeartbeatIntegers) json[field.name] = this->*field.value;
  for (const OptionalNumber& field : kHeartbeatNumbers) json[field.name] = this->*field.value;
  return Dump(json, 1) + "\n";
}

Result<Heartbeat> Heartbeat::FromText(std::string_view text, std::string_view name) {
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  Heartbeat heartbeat;
  heartbeat.worker_id = fields.Integer("worker", 0);
  heartbeat.session = fields.String("session");
  heartbeat.state = fields.String("state");
  heartbeat.host = fields.String("host");
  heartbeat.process_id = fields.Integer("process_id", 0);
  heartbeat.program_version = fields.String("program_version");
  heartbeat.engine = fields.String("engine");
  heartbeat.started_unix_ms = fields.Integer("started_unix_ms", 0);
  heartbeat.updated_unix_ms = fields.Integer("updated_unix_ms", 0);
  heartbeat.units_held = fields.Integers("units_held");
  heartbeat.units_committed = fields.Integer("units_committed", 0);
  heartbeat.units_duplicate = fields.Integer("units_duplicate", 0);
  heartbeat.samples_committed = fields.Integer("samples_committed", 0);
  heartbeat.tokens_committed = fields.Integer("tokens_committed", 0);
  heartbeat.bytes_committed = fields.Integer("bytes_committed", 0);
  heartbeat.tokens_computed = fields.Integer("tokens_computed", 0);
  heartbeat.tokens_per_second = fields.Number("tokens_per_second");
  heartbeat.last_error = fields.String("last_error");
  for (const OptionalInteger& field : kHeartbeatIntegers) {
    if (fields.Has(field.name)) heartbeat.*field.value = fields.Integer(field.name, 0);
  }
  for (const OptionalNumber& field : kHeartbeatNumbers) {
    if (fields.Has(field.name)) heartbeat.*field.value = fields.Number(field.name);
  }
  RETURN_IF_ERROR(fields.status());
  return heartbeat;
}

std::string Quarantine::ToText() const {
  Json json;
  json["unit"] = unit;
  json["first_sample"] = first_sample;
  json["sample_count"] = sample_count;
  json["errors"] = errors;
  return Dump(json, 1) + "\n";
}

Result<Quarantine> Quarantine::FromText(std::string_view text, std::string_view name) {
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  Quarantine quarantine{.unit = fields.Integer("unit", 0),
                        .first_sample = fields.Integer("first_sample", 0),
                        .sample_count = fields.Integer("sample_count", 1),
                        .errors = fields.Strings("errors")};
  RETURN_IF_ERROR(fields.status());
  return quarantine;
}

ManifestEntry ManifestEntry::Of(const Commit& commit) {
  return {.unit = commit.unit,
          .shard = commit.shard,
          .bytes = commit.bytes,
          .checksum = commit.checksum,
          .first_sample = commit.first_sample,
          .sample_count = commit.sample_count,
          .sequence_count = commit.sequence_count,
          .token_count = commit.token_count,
          .truncated_count = commit.truncated_count,
          .rejected_count = static_cast<int64_t>(commit.rejected.size())};
}

ManifestWriter::ManifestWriter(std::string run_fingerprint, int64_t unit_count)
    : run_fingerprint_(std::move(run_fingerprint)), unit_count_(unit_count) {}

void ManifestWriter::Add(const ManifestEntry& entry) {
  sum_.sample_count += entry.sample_count;
  sum_.sequence_count += entry.sequence_count;
  sum_.token_count += entry.token_count;
  sum_.bytes += entry.bytes;
  sum_.rejected_count += entry.rejected_count;
  sum_.truncated_count += entry.truncated_count;
  const bool is_first = units_.empty();
  // As Dump would place it two levels down.
  fmt::format_to(std::back_inserter(units_),
                 R"({}
  {{
   "unit": {},
   "shard": {},
   "bytes": {},
   "checksum": {},
   "first_sample": {},
   "sample_count": {},
   "token_count": {}
  }})",
                 is_first ? "" : ",", entry.unit, Dump(entry.shard), entry.bytes,
                 Dump(entry.checksum), entry.first_sample, entry.sample_count, entry.token_count);
  // The numbers grow, and each growth of a text without room would hold it twice.
  if (is_first) units_.reserve(static_cast<size_t>(unit_count_) * (units_.size() + 16));
}

std::string ManifestWriter::Finish(const std::vector<Quarantine>& quarantined) && {
  Json aside = Json::array();
  for (const Quarantine& quarantine : quarantined) {
    aside.push_back({{"unit", quarantine.unit},
                     {"first_sample", quarantine.first_sample},
                     {"sample_count", quarantine.sample_count}});
  }
  Json json;
  json["format_version"] = 1;
  json["run"] = run_fingerprint_;
  json["state"] =
      quarantined.empty() && sum_.rejected_count == 0 ? "complete" : "complete with exceptions";
  json["unit_count"] = unit_count_;
  json["sample_count"] = sum_.sample_count;
  json["sequence_count"] = sum_.sequence_count;
  json["rejected_count"] = sum_.rejected_count;
  json["truncated_count"] = sum_.truncated_count;
  json["token_count"] = sum_.token_count;
  json["bytes"] = sum_.bytes;
  json["quarantined"] = aside;
  json["units"] = Json::array();
  std::string head = Dump(json, 1);
  head.resize(head.size() - std::string_view("]\n}").size());
  units_ += units_.empty() ? "]\n}\n" : "\n ]\n}\n";
  // In place: the units' lines may be many.
  units_.insert(0, head);
  return std::move(units_);
}

std::string ManifestText(std::string_view run_fingerprint, int64_t unit_count,
                         const std::vector<ManifestEntry>& entries,
                         const std::vector<Quarantine>& quarantined) {
  ManifestWriter writer(std::string(run_fingerprint), unit_count);
  for (const ManifestEntry& entry : entries) writer.Add(entry);
  return std::move(writer).Finish(quarantined);
}

std::string Completion::ToText() const {
  Json json;
  json["run"] = run_fingerprint;
  json["unit_count"] = unit_count;
  json["rejected_count"] = rejected_count;
  json["quarantined_count"] = quarantined_count;
  return Dump(json, 1) + "\n";
}

Result<Completion> Completion::FromText(std::string_view text, std::string_view name) {
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  Completion completion{.run_fingerprint = fields.String("run"),
                        .unit_count = fields.Integer("unit_count", 1),
                        .rejected_count = fields.Integer("rejected_count", 0),
                        .quarantined_count = fields.Integer("quarantined_count", 0)};
  RETURN_IF_ERROR(fields.status());
  return completion;
}

std::string Extension::ToText() const {
  Json json;
  json["format_version"] = 1;
  json["run"] = run_fingerprint;
  json["dataset"] = {{"path", dataset.path},
                     {"fingerprint", dataset.fingerprint},
                     {"sample_count", dataset.sample_count}};
  json["boundaries"] = plan.boundaries();
  return Dump(json, -1) + "\n";
}

Result<Extension> Extension::FromText(std::string_view text, std::string_view name) {
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  fields.Integer("format_version", 1);
  std::string run_fingerprint = fields.String("run");
  JsonFields dataset(fields.Object("dataset"), std::string(name) + ": dataset");
  RunSpec::DatasetSpec spec{.path = dataset.String("path"),
                            .fingerprint = dataset.String("fingerprint"),
                            .sample_count = dataset.Integer("sample_count", 1),
                            .parts = {}};
  fields.Add(dataset.status());
  std::vector<int64_t> boundaries = fields.Integers("boundaries");
  RETURN_IF_ERROR(fields.status());
  ASSIGN_OR_RETURN(Plan plan, Plan::FromBoundaries(std::move(boundaries), name));
  return Extension{std::move(run_fingerprint), std::move(spec), std::move(plan)};
}

}  // namespace thresher
