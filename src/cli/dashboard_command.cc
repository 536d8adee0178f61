#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/byte_size.h"
#include "base/clock.h"
#include "base/random.h"
#include "cli/command.h"
#include "cli/run_prices.h"
#include "cli/stop_signals.h"
#include "cli/store_command.h"
#include "dashboard/dashboard.h"
#include "web/http_server.h"

namespace thresher {
namespace {

constexpr const char* kExamples = R"(Examples:
  thresher dashboard runs/first                      then open the address that it prints
  thresher dashboard gs://bucket/runs                every run below that folder
  thresher dashboard gs://bucket/run7 --listen :8787 for other machines, too: prints a token
  thresher dashboard gs://bucket/run7 --deadline 6h --machine tpu-v5e --spot

Shows runs as a web page that stays up to date, answers /api/ with JSON and /metrics for Prometheus
(docs/monitoring.md). Reads only the runs' folders. Whoever can open the page sees paths, error texts
and host names: without a token only this machine can. There is no TLS: from elsewhere use an SSH
tunnel, or a proxy that has it. Ends with Ctrl-C.)";

struct DashboardSettings {
  std::string url;
  std::string listen = "127.0.0.1:8787";
  std::string token;
  std::string interval = "2s";
  std::string stuck_after = "10m";
  std::string deadline;
  std::string lease_ttl;
  PriceFlags prices;
};

struct DashboardPlan {
  HttpServer::Options server;
  Dashboard::Options dashboard;
};

Result<DashboardPlan> Check(const DashboardSettings& settings) {
  DashboardPlan plan;
  ASSIGN_OR_RETURN(plan.server.address, ParseListenAddress(settings.listen));
  plan.server.token = settings.token;
  if (!plan.server.address.IsLoopback() && plan.server.token.empty()) {
    plan.server.token = RandomSessionId() + RandomSessionId();
  }
  for (const char c : plan.server.token) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                          (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
    if (!is_plain) return InvalidArgument("--token: use letters, digits, '-' and '_' only");
  }
  RunWatcher::Options& watcher = plan.dashboard.watcher;
  ASSIGN_OR_RETURN(watcher.interval_ms, ParseDurationMs(settings.interval));
  constexpr int64_t kShortestIntervalMs = 200;
  watcher.interval_ms = std::max(watcher.interval_ms, kShortestIntervalMs);
  ASSIGN_OR_RETURN(watcher.alerts.stuck_after_ms, ParseDurationMs(settings.stuck_after));
  if (!settings.lease_ttl.empty()) {
    ASSIGN_OR_RETURN(watcher.lease_ttl_ms, ParseDurationMs(settings.lease_ttl));
  }
  if (!settings.deadline.empty()) {
    ASSIGN_OR_RETURN(const int64_t from_now_ms, ParseDurationMs(settings.deadline));
    watcher.alerts.deadline_unix_ms = Clock::Real().UnixMs() + from_now_ms;
  }
  ASSIGN_OR_RETURN(plan.dashboard.prices, settings.prices.Find(settings.url));
  return plan;
}

// "runs/" and "a" -> "runs/a".
std::string Below(std::string url, const std::string& name) {
  if (name.empty()) return url;
  while (url.size() > 1 && url.ends_with('/')) url.pop_back();
  return url + "/" + name;
}

// False where that cannot be told: the page then says why.
bool HasNothing(const std::string& url, const StoreOptions& options) {
  const Result<std::unique_ptr<Store>> store = OpenStore(url, options);
  if (!store.ok()) return false;
  const Result<ListPage> page = (*store)->List("", "", 1);
  return page.ok() && page->objects.empty();
}

Result<int> Serve(const DashboardSettings& settings, DashboardPlan plan, StoreOptions store) {
  // Who watches wants to know soon that the store is down, and asks again anyway.
  constexpr int64_t kPatienceMs = 5'000;
  store.retry_budget_ms = std::min(store.retry_budget_ms, kPatienceMs);
  store.request_timeout_ms = std::min(store.request_timeout_ms, 2 * kPatienceMs);
  static StopRequest stop;
  StopOnSignals(stop, kPatienceMs);
  Dashboard dashboard(
      [&](const std::string& name) { return OpenStore(Below(settings.url, name), store); },
      Clock::Real(), std::move(plan.dashboard));
  const std::string token = plan.server.token;
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> server,
                   HttpServer::Start(std::move(plan.server), [&](const WebRequest& request) {
                     return dashboard.Answer(request);
                   }));
  std::printf("dashboard: %s/%s\n", server->url().c_str(),
              token.empty() ? "" : ("?token=" + token).c_str());
  std::fflush(stdout);
  dashboard.Begin();
  if (HasNothing(settings.url, store)) {
    fmt::print(stderr, "there is no run in {} yet; the page shows it as soon as it begins\n",
               settings.url);
  }
  constexpr int64_t kStepMs = 50;
  while (!stop.requested()) Clock::Real().SleepMs(kStepMs);
  return static_cast<int>(kExitComplete);
}

}  // namespace

void AddDashboardCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("dashboard", "Show runs as a live web page, with metrics for Prometheus");
  auto settings = std::make_shared<DashboardSettings>();
  command->add_option("url", settings->url, "Folder of a run, or of several runs")
      ->required()
      ->check(StoreAddress());
  command->add_option("--listen", settings->listen,
                      "Address and port; port 0: any that is free [127.0.0.1:8787]");
  command->add_option("--token", settings->token,
                      "What whoever asks has to know [none on loopback, else a random one]");
  command->add_option("--interval", settings->interval, "Between two looks at a run [2s]");
  command->add_option("--stuck-after", settings->stuck_after,
                      "A run or worker without progress for so long raises an alert [10m]");
  command->add_option("--deadline", settings->deadline,
                      "From now until when the run should be finished: an alert if it will not be");
  command->add_option("--lease-ttl", settings->lease_ttl,
                      "Without a heartbeat for so long, a worker counts as lost [its own]");
  settings->prices.AddTo(*command);
  FinishStoreCommand(*command, kExamples, exit_status,
                     [settings](const StoreOptions& options) -> Result<int> {
                       Result<DashboardPlan> plan = Check(*settings);
                       if (!plan.ok()) return ReportUsageError(plan.status());
                       return Serve(*settings, *std::move(plan), options);
                     });
}

}  // namespace thresher
