#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_size.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/run_folder.h"
#include "cli/run_prices.h"
#include "cli/status_text.h"
#include "cli/stop_signals.h"
#include "cli/store_command.h"
#include "monitor/alerts.h"
#include "monitor/run_reader.h"
#include "monitor/status_json.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher status runs/first
  thresher status gs://bucket/run7 --watch
  thresher status gs://bucket/run7 --json
  thresher status gs://bucket/run7 --fail-if-stuck 10m --quiet || mail -s "run7 is stuck" me
  thresher status gs://bucket/run7 --machine tpu-v5e --spot
  thresher status s3://bucket/run7 --store-endpoint http://127.0.0.1:9000

Reads only the run's folder; writes nothing. "running": units are missing and a worker has given a
sign of life within the time to live. "incomplete": units are missing and no worker is alive; start
thresher extract with the run's settings again and it goes on with what is missing. Of more than
2,000 committed units a sample is read, and sums over them are called "about"; --exact reads all.

Exit status: 0 the state could be read, 1 it could not, 2 wrong usage, 4 stuck (--fail-if-stuck).)";

struct StatusSettings {
  std::string url;
  std::string lease_ttl;
  std::string interval = "2s";
  std::string fail_if_stuck;
  bool watch = false;
  bool exact = false;
  bool all = false;
  bool json = false;
  bool quiet = false;
  PriceFlags prices;
};

// The settings, checked.
struct StatusPlan {
  RunStatusOptions options;
  AlertSettings alerts;
  int64_t interval_ms = 0;
  std::optional<int64_t> fail_if_stuck_ms;
  std::optional<RunPrices> prices;
};

Result<StatusPlan> Check(const StatusSettings& settings) {
  StatusPlan plan;
  if (!settings.lease_ttl.empty()) {
    ASSIGN_OR_RETURN(plan.options.lease_ttl_ms, ParseDurationMs(settings.lease_ttl));
  }
  plan.options.exact = settings.exact;
  ASSIGN_OR_RETURN(plan.interval_ms, ParseDurationMs(settings.interval));
  if (!settings.fail_if_stuck.empty()) {
    ASSIGN_OR_RETURN(plan.fail_if_stuck_ms, ParseDurationMs(settings.fail_if_stuck));
    plan.alerts.stuck_after_ms = *plan.fail_if_stuck_ms;
  }
  ASSIGN_OR_RETURN(plan.prices, settings.prices.Find(settings.url));
  return plan;
}

void Print(const StatusSettings& settings, const StatusPlan& plan, const RunStatus& status) {
  if (settings.quiet) return;
  const std::vector<Alert> alerts = FindAlerts(status, plan.alerts);
  if (settings.json) {
    // While it is watched, one line for each look.
    const int indent = settings.watch ? -1 : 1;
    std::printf("%s\n", StatusJson(status, alerts, plan.prices)
                            .dump(indent, ' ', false, Json::error_handler_t::replace)
                            .c_str());
  } else {
    constexpr const char* kHomeAndClear = "\x1b[H\x1b[J";
    const bool is_terminal = isatty(STDOUT_FILENO) == 1;
    if (settings.watch) std::fputs(is_terminal ? kHomeAndClear : "\n", stdout);
    std::fputs(StatusText(status, alerts, plan.prices, settings.all).c_str(), stdout);
  }
  std::fflush(stdout);
}

bool IsStuck(const RunStatus& status, const StatusPlan& plan) {
  return plan.fail_if_stuck_ms && !status.IsFinished() &&
         status.now_ms - status.last_finished_ms > *plan.fail_if_stuck_ms;
}

Result<int> ShowStatus(const StatusSettings& settings, StatusPlan plan,
                       const StoreOptions& store_options) {
  Clock& clock = Clock::Real();
  static StopRequest stop;
  if (settings.watch) StopOnSignals(stop, 0);
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenRunFolder(settings.url, store_options));
  RunReader reader(*store);
  while (true) {
    plan.options.now_unix_ms = clock.UnixMs();
    const Result<RunStatus> status = reader.Read(plan.options);
    if (status.ok()) {
      Print(settings, plan, *status);
      if (IsStuck(*status, plan)) {
        std::fprintf(stderr, "thresher: %s is stuck: no unit has been finished for %s\n",
                     status->url.c_str(),
                     FormatDuration(status->now_ms - status->last_finished_ms).c_str());
        return static_cast<int>(kExitStuck);
      }
      if (!settings.watch || status->IsFinished()) return static_cast<int>(kExitComplete);
    } else if (settings.watch) {
      // A store that is away for a while is no reason to stop watching.
      std::fprintf(stderr, "thresher: %s\n", status.status().message().c_str());
    } else {
      return status.status();
    }
    constexpr int64_t kStepMs = 50;
    for (int64_t slept_ms = 0; slept_ms < plan.interval_ms && !stop.requested();
         slept_ms += kStepMs) {
      clock.SleepMs(kStepMs);
    }
    if (stop.requested()) return static_cast<int>(kExitComplete);
  }
}

}  // namespace

void AddStatusCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("status", "Show how far a run is, from its folder alone");
  auto settings = std::make_shared<StatusSettings>();
  command->add_option("url", settings->url, "Folder of the run")->required()->check(StoreAddress());
  command->add_flag("--watch", settings->watch,
                    "Show it again and again, until the run is complete");
  command->add_option("--interval", settings->interval, "Between two looks of --watch [2s]");
  command->add_option("--fail-if-stuck", settings->fail_if_stuck,
                      "End with status 4 if units are missing and none was finished for so long");
  command->add_flag("--exact", settings->exact, "Read every commit, also of a large run");
  command->add_option("--lease-ttl", settings->lease_ttl,
                      "Without a heartbeat for so long, a worker counts as lost [its own]");
  settings->prices.AddTo(*command);
  command->add_flag("--all", settings->all, "Every worker and every problem");
  command->add_flag("--json", settings->json, "One JSON object on the standard output");
  command->add_flag("--quiet", settings->quiet, "Print nothing; for --fail-if-stuck");
  FinishStoreCommand(*command, kExamples, exit_status,
                     [settings](const StoreOptions& options) -> Result<int> {
                       Result<StatusPlan> plan = Check(*settings);
                       if (!plan.ok()) return ReportUsageError(plan.status());
                       return ShowStatus(*settings, *std::move(plan), options);
                     });
}

}  // namespace thresher
