#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>

#include "base/byte_size.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/stop_signals.h"
#include "cli/store_command.h"
#include "doctor/doctor.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher doctor gs://bucket/runs
  thresher doctor s3://bucket/runs --store-endpoint http://127.0.0.1:9000 --thorough
  thresher doctor az://container/runs --bytes 256MB --json
  thresher doctor /mnt/shared/runs

Tries what a run needs of a store: permissions, conditional create, consistency; measures latency
and throughput; reads the store's clock; says what to mend. --thorough runs the whole suite that the
drivers themselves are tested with. Writes only below URL/thresher-doctor-<random>, and removes that
folder again, also when it is interrupted.

Exit status: 0 a run would work here, 1 it would not, 2 wrong usage, 75 interrupted.)";

struct DoctorSettings {
  std::string url;
  std::string bytes = "64MB";
  bool thorough = false;
  bool json = false;
};

// Text of a store's answer as one line.
std::string OneLine(std::string text) {
  for (char& character : text) {
    if (static_cast<unsigned char>(character) < 0x20) character = ' ';
  }
  return text;
}

// Lines as they are known, and what is being done now while it takes long. `Show` from one thread;
// one of its own speaks up after a silence.
class DoctorDisplay {
 public:
  DoctorDisplay(Clock& clock, bool json)
      : clock_(clock),
        json_(json),
        is_terminal_(isatty(STDERR_FILENO) == 1),
        begin_ms_(clock.MonotonicMs()),
        watcher_([this] { Watch(); }) {}

  ~DoctorDisplay() {
    {
      std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    wake_up_.notify_all();
    watcher_.join();
    ClearStep();
  }
  DoctorDisplay(const DoctorDisplay&) = delete;
  DoctorDisplay& operator=(const DoctorDisplay&) = delete;

  void Show(std::string_view step) {
    constexpr int64_t kFirstMs = 2'000;
    std::lock_guard lock(mutex_);
    step_ = step;
    ++changes_;
    if (is_terminal_ && clock_.MonotonicMs() - begin_ms_ >= kFirstMs) ShowStep();
    wake_up_.notify_all();
  }

  void Show(const DoctorLine& line) {
    std::lock_guard lock(mutex_);
    ClearStep();
    ++changes_;
    wake_up_.notify_all();
    if (json_) return;
    std::printf("%s %-22s %s\n", Mark(line.verdict), line.name.c_str(), OneLine(line.text).c_str());
    if (!line.advice.empty()) std::printf("  %-22s -> %s\n", "", line.advice.c_str());
    std::fflush(stdout);
  }

 private:
  static const char* Mark(Verdict verdict) {
    switch (verdict) {
      case Verdict::kGood:
        return "\u2713";
      case Verdict::kBad:
        return "\u2717";
      default:
        return "-";
    }
  }

  void Watch() {
    constexpr std::chrono::seconds kSilence{3};
    std::unique_lock lock(mutex_);
    while (!is_over_) {
      const int64_t seen = changes_;
      const auto has_changed = [&] { return is_over_ || changes_ != seen; };
      if (wake_up_.wait_for(lock, kSilence, has_changed)) continue;
      if (!step_is_shown_ && !step_.empty()) ShowStep();
      wake_up_.wait(lock, has_changed);
    }
  }

  // On a terminal the next line takes its place.
  void ShowStep() {
    ClearStep();
    std::fprintf(stderr, is_terminal_ ? "... %s" : "... %s\n", step_.c_str());
    std::fflush(stderr);
    step_is_shown_ = is_terminal_;
  }

  void ClearStep() {
    if (step_is_shown_) std::fputs("\r\033[K", stderr);
    step_is_shown_ = false;
  }

  Clock& clock_;
  const bool json_;
  const bool is_terminal_;
  const int64_t begin_ms_;
  std::mutex mutex_;
  std::condition_variable wake_up_;
  std::string step_;            // guarded by mutex_, as all below
  int64_t changes_ = 0;         // of step and lines
  bool step_is_shown_ = false;  // on a terminal
  bool is_over_ = false;
  std::thread watcher_;  // last: it uses the rest
};

void PrintMeasurements(const DoctorReport& report) {
  if (!report.latencies.empty()) {
    std::printf("\n%-12s  %6s  %10s  %10s  %10s\n", "latency, ms", "calls", "median", "p95", "max");
  }
  for (const CallLatency& latency : report.latencies) {
    std::printf("%-12s  %6lld  %10.2f  %10.2f  %10.2f\n", latency.call.c_str(),
                static_cast<long long>(latency.count), latency.median_ms, latency.p95_ms,
                latency.max_ms);
  }
  if (!report.transfers.empty()) std::printf("\nthroughput\n");
  for (const TransferRate& rate : report.transfers) {
    std::printf("  %-22s %12s/s  (%s in %s)\n", rate.name.c_str(),
                FormatBytes(rate.BytesPerSecond()).c_str(),
                FormatBytes(static_cast<double>(rate.bytes)).c_str(),
                fmt::format("{:.2f} s", static_cast<double>(rate.duration_us) / 1e6).c_str());
  }
}

void PrintVerdict(const DoctorReport& report, const std::string& store_arguments) {
  if (report.was_stopped) {
    std::printf("\ninterrupted; what was written is removed\n");
  } else if (report.ok()) {
    std::printf("\na run would work in %s\n", store_arguments.c_str());
  } else {
    std::printf("\na run would not work in %s: mend what is marked above\n",
                store_arguments.c_str());
  }
}

Json ReportJson(const DoctorReport& report) {
  Json json = {{"url", report.url},
               {"ok", report.ok()},
               {"interrupted", report.was_stopped},
               {"checksum", report.checksum}};
  json["checks"] = Json::array();
  for (const DoctorLine& line : report.lines) {
    json["checks"].push_back({{"name", line.name},
                              {"verdict", VerdictName(line.verdict)},
                              {"text", line.text},
                              {"advice", line.advice}});
  }
  json["latency_ms"] = Json::object();
  for (const CallLatency& latency : report.latencies) {
    json["latency_ms"][latency.call] = {{"calls", latency.count},
                                        {"median", latency.median_ms},
                                        {"p95", latency.p95_ms},
                                        {"max", latency.max_ms}};
  }
  json["bytes_per_second"] = Json::object();
  for (const TransferRate& rate : report.transfers) {
    json["bytes_per_second"][rate.name] = rate.BytesPerSecond();
  }
  json["clock"] = report.clock ? Json{{"resolution_ms", report.clock->resolution_ms},
                                      {"ahead_ms", report.clock->ahead_ms},
                                      {"uncertainty_ms", report.clock->uncertainty_ms}}
                               : Json();
  return json;
}

Result<DoctorOptions> CheckDoctorSettings(const DoctorSettings& settings,
                                          const StoreOptions& store_options) {
  constexpr int64_t kMostBytes = int64_t{16} << 30;
  DoctorOptions options;
  const Result<int64_t> bytes = ParseByteSize(settings.bytes);
  if (!bytes.ok()) return bytes.status().WithContext("--bytes");
  if (*bytes > kMostBytes) {
    return InvalidArgument("--bytes: expected at most 16GiB, which are held in memory, found " +
                           settings.bytes);
  }
  options.transfer_bytes = *bytes;
  options.part_bytes = store_options.part_bytes;
  options.parallel_parts = store_options.parallel_parts;
  options.thorough = settings.thorough;
  return options;
}

Result<int> Examine(const DoctorSettings& settings, const StoreOptions& store_options,
                    DoctorOptions options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(settings.url, store_options));
  StoreOptions one_stream = store_options;
  one_stream.part_bytes = 0;
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> single_stream, OpenStore(settings.url, one_stream));
  constexpr int64_t kFirstContactMs = 5'000;
  StoreOptions soon = store_options;
  soon.retry_budget_ms = std::min(soon.retry_budget_ms, kFirstContactMs);
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> impatient, OpenStore(settings.url, soon));
  // Stores in memory would share nothing.
  const bool is_private = settings.url == "memory:";
  const StoresToExamine stores{*store, is_private ? *store : *single_stream,
                               is_private ? *store : *impatient};
  // Time to remove what was written, after an interrupt.
  constexpr int64_t kCleanUpMs = 60'000;
  static StopRequest stop;
  StopOnSignals(stop, kCleanUpMs);
  options.stop = [] { return stop.requested(); };
  const DoctorReport report = [&] {
    DoctorDisplay display(Clock::Real(), settings.json);
    options.on_line = [&](const DoctorLine& line) { display.Show(line); };
    options.on_step = [&](std::string_view step) { display.Show(step); };
    return ExamineStore(stores, Clock::Real(), options);
  }();
  if (settings.json) {
    std::printf("%s\n",
                ReportJson(report).dump(1, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    PrintMeasurements(report);
    PrintVerdict(report, StoreArguments(report.url, store_options));
  }
  if (report.was_stopped) return static_cast<int>(kExitStopped);
  return static_cast<int>(report.ok() ? kExitComplete : kExitError);
}

}  // namespace

void AddDoctorCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("doctor", "Try a store: permissions, guarantees, speed; say what to mend");
  auto settings = std::make_shared<DoctorSettings>();
  command->add_option("url", settings->url, "Folder in the store, such as gs://bucket/runs")
      ->required()
      ->check(StoreAddress());
  command->add_option("--bytes", settings->bytes,
                      "Size of the object that throughput is measured with [64MB]");
  command->add_flag("--thorough", settings->thorough, "Run the whole contract suite, too");
  command->add_flag("--json", settings->json, "One JSON object on the standard output");
  FinishStoreCommand(*command, kExamples, exit_status,
                     [settings](const StoreOptions& store_options) -> Result<int> {
                       const Result<DoctorOptions> options =
                           CheckDoctorSettings(*settings, store_options);
                       if (!options.ok()) return ReportUsageError(options.status());
                       Result<int> status = Examine(*settings, store_options, *options);
                       if (status.status().code() == Code::kInvalidArgument) {
                         return ReportUsageError(status.status());
                       }
                       return status;
                     });
}

}  // namespace thresher
