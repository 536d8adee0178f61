#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/byte_size.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/run_folder.h"
#include "cli/store_command.h"
#include "monitor/run_status.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher status runs/first
  thresher status gs://bucket/run7 --json
  thresher status s3://bucket/run7 --store-endpoint http://127.0.0.1:9000
  thresher status runs/first --lease-ttl 30s    (what the workers were started with)

Reads only the run's folder; writes nothing. "running": units are missing and a worker has given a
sign of life within the time to live. "incomplete": units are missing and no worker is alive; start
thresher extract with the run's settings again and it goes on with what is missing.)";

constexpr size_t kShownWorkers = 20;
constexpr size_t kShownProblems = 5;

struct StatusSettings {
  std::string url;
  std::string lease_ttl = "3m";
  bool all = false;
  bool json = false;
};

void PrintField(const char* name, const std::string& text) {
  std::printf("%-10s %s\n", name, text.c_str());
}

std::string UnitsText(const RunStatus& status) {
  constexpr int64_t kWidth = 40;
  const auto set_aside = static_cast<int64_t>(status.quarantined.size());
  const int64_t finished = status.committed_count + set_aside;
  const int64_t filled = kWidth * finished / status.unit_count;
  std::string text = fmt::format(
      "[{}{}] {} of {} ({} %)", std::string(static_cast<size_t>(filled), '#'),
      std::string(static_cast<size_t>(kWidth - filled), '.'), FormatCount(status.committed_count),
      FormatCount(status.unit_count), 100 * finished / status.unit_count);
  if (set_aside > 0) text += fmt::format(", {} set aside", FormatCount(set_aside));
  return text;
}

std::string SamplesText(const RunStatus& status) {
  std::string text = fmt::format("{} of {} stored", FormatCount(status.samples_stored),
                                 FormatCount(status.sample_count));
  if (status.samples_rejected > 0) {
    text += fmt::format(", {} rejected", FormatCount(status.samples_rejected));
  }
  if (status.samples_truncated > 0) {
    text += fmt::format(", {} truncated", FormatCount(status.samples_truncated));
  }
  return text;
}

std::string LeasesText(const RunStatus& status) {
  std::string text = fmt::format("{} units claimed", FormatCount(status.lease_count));
  if (status.taken_over_count > 0) {
    text += fmt::format(", {} more than once (one of them {} times)",
                        FormatCount(status.taken_over_count), status.largest_epoch);
  }
  return text;
}

std::string UnitList(const std::vector<int64_t>& units) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(units.size(), kShown); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(units[i]);
  }
  return text.empty() ? "-" : units.size() > kShown ? text + ",.." : text;
}

// What became of a worker, for people. In a finished run nobody works: who says so has died since,
// or is about to say that it has stopped.
std::string WorkerState(const RunStatus& status, const WorkerStatus& worker) {
  constexpr int64_t kEndingMs = 60'000;  // a few heartbeats
  if (worker.heartbeat.state != "running") return worker.heartbeat.state;
  if (!worker.is_alive) return "lost";
  const bool is_finished =
      status.state == RunState::kComplete || status.state == RunState::kCompleteWithExceptions;
  if (!is_finished) return "running";
  return worker.age_ms <= kEndingMs ? "ending" : "lost";
}

void PrintWorkers(const RunStatus& status, size_t shown) {
  if (status.workers.empty()) return PrintField("workers", "none has been here");
  std::printf("\n%6s  %-16s  %-8s  %-14s  %9s  %10s  %12s  %s\n", "worker", "session", "state",
              "units held", "committed", "tokens/s", "heartbeat", "last error");
  for (size_t i = 0; i < std::min(shown, status.workers.size()); ++i) {
    const WorkerStatus& worker = status.workers[i];
    const Heartbeat& beat = worker.heartbeat;
    const std::string state = WorkerState(status, worker);
    const bool is_running = state == "running";
    std::printf("%s\n", fmt::format("{:>6}  {:<16}  {:<8}  {:<14}  {:>9}  {:>10.0f}  {:>12}  {}",
                                    beat.worker_id, beat.session, state, UnitList(beat.units_held),
                                    FormatCount(beat.units_committed),
                                    is_running ? beat.tokens_per_second : 0.0,
                                    FormatDuration(worker.age_ms) + " ago",
                                    beat.last_error.empty() ? "-" : Quoted(beat.last_error))
                            .c_str());
  }
  if (status.workers.size() > shown) {
    std::printf("        and %zu more (--all shows them)\n", status.workers.size() - shown);
  }
}

void PrintProblems(const RunStatus& status, size_t shown) {
  if (!status.quarantined.empty()) std::printf("\nunits set aside\n");
  for (size_t i = 0; i < std::min(shown, status.quarantined.size()); ++i) {
    const Quarantine& unit = status.quarantined[i];
    std::printf("  unit %lld, samples %lld to %lld: %s\n", static_cast<long long>(unit.unit),
                static_cast<long long>(unit.first_sample),
                static_cast<long long>(unit.first_sample + unit.sample_count - 1),
                unit.errors.empty() ? "no reason given" : Quoted(unit.errors.front()).c_str());
  }
  if (status.quarantined.size() > shown) {
    std::printf("  and %zu more\n", status.quarantined.size() - shown);
  }
  if (!status.rejected.empty()) std::printf("\nsamples rejected\n");
  for (size_t i = 0; i < std::min(shown, status.rejected.size()); ++i) {
    std::printf("  sample %lld: %s\n", static_cast<long long>(status.rejected[i].sample),
                Quoted(status.rejected[i].reason).c_str());
  }
  const int64_t not_shown =
      status.samples_rejected - static_cast<int64_t>(std::min(shown, status.rejected.size()));
  if (not_shown > 0) std::printf("  and %s more\n", FormatCount(not_shown).c_str());
  if (!status.unreadable.empty()) std::printf("\nrecords that cannot be read\n");
  for (size_t i = 0; i < std::min(shown, status.unreadable.size()); ++i) {
    std::printf("  %s\n", status.unreadable[i].c_str());
  }
  if (status.unreadable.size() > shown) {
    std::printf("  and %zu more; run thresher verify\n", status.unreadable.size() - shown);
  }
}

void Print(const RunStatus& status, bool all) {
  PrintField("run", status.url);
  PrintField("state", std::string(RunStateName(status.state)));
  PrintField("units", UnitsText(status));
  PrintField("samples", SamplesText(status));
  PrintField("tokens", TokensText(status.tokens, status.forward_tokens));
  PrintField("bytes", FormatBytes(static_cast<double>(status.bytes)));
  if (status.state == RunState::kRunning) {
    PrintField("speed", fmt::format("{:.0f} tokens/s, ETA {}", status.tokens_per_second,
                                    status.remaining_ms ? FormatDuration(*status.remaining_ms)
                                                        : "not known yet"));
  }
  PrintField("leases", LeasesText(status));
  PrintWorkers(status, all ? SIZE_MAX : kShownWorkers);
  PrintProblems(status, all ? SIZE_MAX : kShownProblems);
}

Json WorkerJson(const RunStatus& status, const WorkerStatus& worker) {
  const std::string state = WorkerState(status, worker);
  const Heartbeat& beat = worker.heartbeat;
  return {{"worker", beat.worker_id},
          {"session", beat.session},
          {"state", beat.state},
          {"alive", state == "running" || state == "ending"},
          {"heartbeat_age_ms", worker.age_ms},
          {"host", beat.host},
          {"engine", beat.engine},
          {"units_held", beat.units_held},
          {"units_committed", beat.units_committed},
          {"units_duplicate", beat.units_duplicate},
          {"samples_committed", beat.samples_committed},
          {"tokens_committed", beat.tokens_committed},
          {"bytes_committed", beat.bytes_committed},
          {"tokens_per_second", beat.tokens_per_second},
          {"last_error", beat.last_error}};
}

void PrintJson(const RunStatus& status) {
  Json json = {{"url", status.url},
               {"state", RunStateName(status.state)},
               {"unit_count", status.unit_count},
               {"units_committed", status.committed_count},
               {"sample_count", status.sample_count},
               {"samples_stored", status.samples_stored},
               {"samples_rejected", status.samples_rejected},
               {"samples_truncated", status.samples_truncated},
               {"tokens", status.tokens},
               {"forward_tokens", status.forward_tokens},
               {"bytes", status.bytes},
               {"tokens_per_second", status.tokens_per_second},
               {"leases", status.lease_count},
               {"leases_taken_over", status.taken_over_count},
               {"largest_epoch", status.largest_epoch}};
  json["remaining_ms"] = status.remaining_ms ? Json(*status.remaining_ms) : Json();
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
  json["workers"] = Json::array();
  for (const WorkerStatus& worker : status.workers)
    json["workers"].push_back(WorkerJson(status, worker));
  json["unreadable"] = status.unreadable;
  std::printf("%s\n", json.dump(1, ' ', false, Json::error_handler_t::replace).c_str());
}

Result<int> ShowStatus(const StatusSettings& settings, const StoreOptions& store_options) {
  ASSIGN_OR_RETURN(const int64_t lease_ttl_ms, ParseDurationMs(settings.lease_ttl));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenRunFolder(settings.url, store_options));
  ASSIGN_OR_RETURN(
      const RunStatus status,
      ReadRunStatus(*store, {.lease_ttl_ms = lease_ttl_ms, .now_unix_ms = Clock::Real().UnixMs()}));
  if (settings.json) {
    PrintJson(status);
  } else {
    Print(status, settings.all);
  }
  return kExitComplete;
}

}  // namespace

void AddStatusCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("status", "Show how far a run is, from its folder alone");
  auto settings = std::make_shared<StatusSettings>();
  command->add_option("url", settings->url, "Folder of the run")->required();
  command->add_option("--lease-ttl", settings->lease_ttl,
                      "Without a heartbeat for so long, a worker counts as lost [3m]");
  command->add_flag("--all", settings->all, "Every worker and every problem");
  command->add_flag("--json", settings->json, "One JSON object on the standard output");
  FinishStoreCommand(*command, kExamples, exit_status, [settings](const StoreOptions& options) {
    return ShowStatus(*settings, options);
  });
}

}  // namespace thresher
