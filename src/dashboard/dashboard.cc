#include "dashboard/dashboard.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "dashboard/run_list.h"
#include "dashboard/view_json.h"
#include "dashboard/web_files.h"
#include "monitor/prometheus_text.h"
#include "monitor/run_metrics.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kPageWorkers = 200;
constexpr int64_t kWatchedMs = 600'000;
constexpr size_t kMostWatched = 32;
constexpr const char* kJson = "application/json";
// Nothing from elsewhere, no inline script or style, no frame around the page.
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

WebAnswer JsonAnswer(const Json& json, int status = 200) {
  return {.status = status, .content_type = kJson, .body = JsonText(json) + "\n"};
}

WebAnswer ErrorAnswer(int status, const std::string& message) {
  return JsonAnswer({{"error", message}}, status);
}

WebAnswer FileAnswer(const WebFile& file) {
  return {.content_type = std::string(file.content_type),
          .body = std::string(file.content),
          .headers = {{"Content-Security-Policy", kPagePolicy}}};
}

std::string Parameter(const WebRequest& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? "" : found->second;
}

// `otherwise` where there is no such parameter, or it is no number.
int64_t NumberParameter(const WebRequest& request, const char* name, int64_t otherwise) {
  const std::string text = Parameter(request, name);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = !text.empty() && error == std::errc() && end == text.data() + text.size();
  return is_number && number >= 0 ? number : otherwise;
}

// The newest view, after the first look at least; null if that takes too long.
std::shared_ptr<const RunView> FirstView(const RunWatcher& watcher) {
  constexpr int64_t kFirstLookMs = 9'000;
  std::shared_ptr<const RunView> view = watcher.view();
  return view->version > 0 ? view : watcher.WaitForOther(0, kFirstLookMs);
}

// One folder, as FindRuns names them: nothing that leads elsewhere.
bool IsRunName(const std::string& name) {
  return name.empty() || CheckKey(name + "/run.json").ok();
}

}  // namespace

Dashboard::Dashboard(OpenFolder open, Clock& clock, Options options)
    : open_(std::move(open)), clock_(clock), options_(std::move(options)) {}

void Dashboard::ForgetUnwatched() {
  std::erase_if(watched_, [&](const auto& entry) {
    return !entry.first.empty() && clock_.MonotonicMs() - entry.second.asked_ms > kWatchedMs;
  });
}

Result<std::shared_ptr<RunWatcher>> Dashboard::WatcherOf(const std::string& name) {
  if (!IsRunName(name)) return NotFound("no run has that name");
  const std::lock_guard lock(mutex_);
  ForgetUnwatched();
  const auto found = watched_.find(name);
  if (found != watched_.end()) {
    found->second.asked_ms = clock_.MonotonicMs();
    return found->second.watcher;
  }
  if (watched_.size() >= kMostWatched) {
    return Unavailable("too many runs are watched at the same time; try again in ten minutes");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, open_(name));
  Watched watched{
      .watcher = std::make_shared<RunWatcher>(std::move(store), clock_, options_.watcher),
      .asked_ms = clock_.MonotonicMs()};
  return watched_.emplace(name, std::move(watched)).first->second.watcher;
}

void Dashboard::Begin() {
  const Result<std::unique_ptr<Store>> store = open_("");
  if (!store.ok()) return;
  const Result<std::vector<FoundRun>> runs = FindRuns(**store);
  const bool is_only_one = runs.ok() && runs->size() == 1 && runs->front().name.empty();
  if (is_only_one) (void)WatcherOf("");
}

WebAnswer Dashboard::AnswerRuns() {
  const Result<std::unique_ptr<Store>> store = open_("");
  if (!store.ok()) return ErrorAnswer(502, store.status().message());
  const Result<std::vector<FoundRun>> runs = FindRuns(**store);
  if (!runs.ok()) return ErrorAnswer(502, runs.status().message());
  Json json = {{"url", (*store)->url()}, {"runs", Json::array()}};
  for (const FoundRun& run : *runs) {
    json["runs"].push_back({{"name", run.name}, {"started_ms", run.started_ms}});
  }
  return JsonAnswer(json);
}

WebAnswer Dashboard::AnswerRun(const WebRequest& request, RunWatcher& watcher) const {
  const std::shared_ptr<const RunView> view = FirstView(watcher);
  if (!view) return ErrorAnswer(503, "the store has not answered yet");
  if (request.path == "/api/events") {
    return JsonAnswer({{"events", EventsJson(*view, NumberParameter(request, "after", 0))}});
  }
  if (!view->status) return ErrorAnswer(view->is_missing ? 404 : 502, view->error);
  if (request.path == "/api/units") {
    constexpr int64_t kMostCells = 100'000;
    const int64_t cells = std::max<int64_t>(1, NumberParameter(request, "cells", 2'000));
    return JsonAnswer(UnitMapJson(*view->status, std::min(cells, kMostCells)));
  }
  const auto workers = static_cast<size_t>(NumberParameter(request, "workers", kPageWorkers));
  return JsonAnswer(ViewJson(*view, options_.prices, workers));
}

// Each view as one event; a comment now and then shows both sides that the other is there.
WebAnswer Dashboard::AnswerStream(std::shared_ptr<RunWatcher> watcher) const {
  constexpr int64_t kLookMs = 1'000;
  constexpr int kPiecesWithoutWord = 10;
  return {.content_type = "text/event-stream",
          .stream = [watcher = std::move(watcher), prices = options_.prices, version = int64_t{0},
                     silent = 0](std::string& text) mutable {
            const std::shared_ptr<const RunView> view = watcher->WaitForOther(version, kLookMs);
            if (view) {
              version = view->version;
              silent = 0;
              text =
                  "event: run\ndata: " + JsonText(ViewJson(*view, prices, kPageWorkers)) + "\n\n";
            } else if (++silent == kPiecesWithoutWord) {
              silent = 0;
              text = ": still here\n\n";
            }
            return true;
          }};
}

WebAnswer Dashboard::AnswerMetrics(const WebRequest& request) {
  const Result<std::shared_ptr<RunWatcher>> watcher = WatcherOf(Parameter(request, "run"));
  if (!watcher.ok()) return ErrorAnswer(404, watcher.status().message());
  const std::shared_ptr<const RunView> view = FirstView(**watcher);
  if (!view) return ErrorAnswer(503, "the store has not answered yet");
  if (view->is_missing) {
    return ErrorAnswer(404, view->error + "; of several runs name one: /metrics?run=NAME");
  }
  const std::string name = view->status ? view->status->url : Parameter(request, "run");
  return {.content_type = std::string(kPrometheusContentType),
          .body = RunMetrics(name, view->status.get(), view->alerts, options_.watcher.alerts,
                             view->error.empty() && view->status != nullptr)};
}

WebAnswer Dashboard::Answer(const WebRequest& request) {
  const std::string path = request.path == "/" ? "/index.html" : request.path;
  for (const WebFile& file : WebFiles()) {
    if (path == file.path) return FileAnswer(file);
  }
  if (path == "/healthz") return {.body = "ok\n"};
  if (path == "/api/runs") return AnswerRuns();
  if (path == "/metrics") return AnswerMetrics(request);
  const bool is_stream = path == "/api/stream";
  if (!is_stream && path != "/api/run" && path != "/api/units" && path != "/api/events") {
    return ErrorAnswer(404, "there is no " + path);
  }
  Result<std::shared_ptr<RunWatcher>> watcher = WatcherOf(Parameter(request, "run"));
  if (!watcher.ok()) {
    const bool is_missing = watcher.status().code() == Code::kNotFound;
    return ErrorAnswer(is_missing ? 404 : 503, watcher.status().message());
  }
  if (is_stream) return AnswerStream(*std::move(watcher));
  return AnswerRun(request, **watcher);
}

}  // namespace thresher
