#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "base/logger.h"
#include "base/random.h"
#include "base/trace.h"
#include "cli/command.h"
#include "cli/extract_flags.h"
#include "cli/extract_inputs.h"
#include "cli/extract_options.h"
#include "cli/log_output.h"
#include "cli/metrics_server.h"
#include "cli/reporter.h"
#include "cli/stderr_lines.h"
#include "cli/stop_signals.h"
#include "cli/version.h"
#include "engine/create_engine.h"
#include "extract/checkpoint.h"
#include "extract/cloud_metadata.h"
#include "extract/completion.h"
#include "extract/ledger.h"
#include "extract/planner.h"
#include "extract/preemption.h"
#include "extract/spool.h"
#include "extract/worker.h"
#include "monitor/worker_metrics.h"
#include "sample/token_selection.h"
#include "store/store.h"
#include "web/http_server.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr const char* kExamples = R"(Examples:
  thresher extract --model Qwen2.5-0.5B --dataset tasks.jsonl --output runs/first
  thresher extract --model M --dataset d.jsonl --output gs://bucket/second \
      --hooks resid_post,mlp_out --layers 0-11 --shard-bytes 256MB
  Start the same command on as many machines as there are, each with its own --worker-id;
  start it again after a crash or a pre-emption: it goes on with what is missing.

Exit status: 0 complete, 1 error, 2 wrong usage, 3 complete with samples or units set aside,
75 stopped early (start the same command again).)";

Heartbeat HeartbeatOf(const ExtractOptions& options, const std::string& session,
                      const Engine& engine, Clock& clock) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  Heartbeat heartbeat;
  heartbeat.worker_id = options.worker_id;
  heartbeat.session = session;
  heartbeat.host = host;
  heartbeat.process_id = getpid();
  heartbeat.program_version = kVersion;
  heartbeat.engine =
      engine.info().name + ", " + engine.info().compute + ", " + engine.info().device;
  heartbeat.started_unix_ms = clock.UnixMs();
  return heartbeat;
}

// Keeps the local mirror up to date; a mirror that cannot be written is reported once.
class CheckpointMirror {
 public:
  CheckpointMirror(const ExtractOptions& options, const Progress& progress)
      : settings_(options.settings), worker_id_(options.worker_id), progress_(progress) {}

  // Writes if something was committed since the last time, or if `status` is new.
  void Write(const std::string& status, const Logger& log) {
    const int64_t commits = progress_.units_committed;
    if (settings_.no_checkpointing || broken_) return;
    if (status == last_status_ && commits == last_commits_) return;
    last_status_ = status;
    last_commits_ = commits;
    Checkpoint checkpoint;
    checkpoint.worker_id = worker_id_;
    checkpoint.last_processed_sample_idx = progress_.last_sample_committed;
    checkpoint.total_samples_processed = progress_.samples_committed;
    checkpoint.total_shards = progress_.units_committed;
    checkpoint.dataset_path = settings_.dataset;
    checkpoint.model_path = settings_.model;
    checkpoint.status = status;
    const Status written = WriteCheckpoint(settings_.checkpoint_dir, checkpoint);
    if (written.ok()) return;
    broken_ = true;
    log.Warning("no local checkpoint mirror: " + written.message());
  }

 private:
  const ExtractSettings& settings_;
  const int64_t worker_id_;
  const Progress& progress_;
  std::string last_status_;
  int64_t last_commits_ = 0;
  bool broken_ = false;
};

void SayWhatIsPlanned(const Logger& log, const ExtractOptions& options, const ExtractInputs& inputs,
                      const Run& run, const Engine& engine) {
  log.Notice(
      fmt::format("data set {}: {}", inputs.samples->address(), inputs.samples->DescribeDataset()));
  log.Notice(fmt::format("run {}: {} samples in {} units, {} hook points, {} a token; {} ({}, {})",
                         inputs.store->url(), FormatCount(run.spec.dataset.sample_count),
                         FormatCount(run.plan.unit_count()), inputs.format.hooks.size(),
                         FormatBytes(static_cast<double>(inputs.bytes_per_token)),
                         inputs.model->architecture, engine.info().compute, engine.info().device));
  log.Notice(fmt::format("shards are built in at most {} arenas of about {}",
                         options.settings.arenas,
                         FormatBytes(static_cast<double>(options.shard_bytes))));
}

void SayIfShardsAreTiny(const Logger& log, const ExtractOptions& options, const Run& run) {
  constexpr int64_t kTinyBytes = 16'000'000;
  constexpr int64_t kFewSamples = 4;
  const int64_t shards = run.plan.unit_count();
  const int64_t samples = run.spec.dataset.sample_count;
  if (options.shard_bytes >= kTinyBytes || samples >= kFewSamples * shards || shards < 2) return;
  log.Notice(fmt::format(
      "--shard-bytes {} makes {} shards of {} samples, for a shard holds at least one; stores and "
      "readers are faster with few large ones: the default is 1GB",
      FormatBytes(static_cast<double>(options.shard_bytes)), FormatCount(shards),
      FormatCount(samples)));
}

std::string SummaryOf(const Progress& progress, int64_t elapsed_ms) {
  std::string text = fmt::format(
      "committed {} units, {} samples, {} tokens, {} in {}; {} duplicates, {} failed",
      progress.units_committed.load(), FormatCount(progress.samples_committed),
      FormatCount(progress.tokens_committed),
      FormatBytes(static_cast<double>(progress.bytes_committed)), FormatDuration(elapsed_ms),
      progress.units_duplicate.load(), progress.units_failed.load());
  if (progress.units_handed_over > 0) {
    text += fmt::format("; {} handed over to whoever goes on", progress.units_handed_over.load());
  }
  return text;
}

// What was not stored because of a default that a person may not know of; empty: nothing.
std::string WhatWasCut(const Progress& progress, const SampleSettings& settings) {
  if (progress.samples_truncated == 0) return "";
  return fmt::format(
      "{} of {} samples are longer than --max-tokens {} and were cut: what follows is not stored. "
      "--overlong split stores all of it, a larger --max-tokens more",
      FormatCount(progress.samples_truncated), FormatCount(progress.samples_committed),
      settings.max_tokens);
}

// What is left to do when a worker's pipeline has ended: the manifest, and the exit status.
Result<int> Conclude(Store& store, Clock& clock, const Run& run, Worker::Outcome outcome,
                     const ConcludeOptions& options, const Logger& log) {
  std::optional<Completion> completion;
  if (outcome == Worker::Outcome::kComplete) {
    ASSIGN_OR_RETURN(completion, ConcludeRun(store, clock, run, options));
    if (!completion && !options.should_stop()) {
      log.Warning("units that were marked as finished are not; the marks are removed");
    }
  }
  if (!completion) {
    log.Warning("stopped before the run was complete; start the same command again to go on");
    return static_cast<int>(kExitStopped);
  }
  if (!completion->HasExceptions()) {
    log.Notice("the run is complete: " + store.url());
    return static_cast<int>(kExitComplete);
  }
  log.Warning(
      "the run is complete with exceptions: samples or units were set aside; see "
      "thresher status " +
      store.url());
  return static_cast<int>(kExitExceptions);
}

// A number that no flag or variable gave: that of a TPU machine in its slice, else 0. Equal numbers
// cost some claims that meet, nothing else.
int64_t WorkerIdFromCloud(Cloud cloud) {
  if (cloud != Cloud::kGce) return 0;
  const Result<std::optional<int64_t>> number = TpuWorkerNumber(SendHttpRequest);
  return number.ok() ? number->value_or(0) : 0;
}

// The folder of local copies, if one is asked for.
struct LocalCopies {
  std::unique_ptr<Store> folder;
  std::unique_ptr<Spool> spool;
};

Result<LocalCopies> OpenLocalCopies(const ExtractSettings& settings, Store& run_store,
                                    const Run& run, const Logger& log) {
  LocalCopies copies;
  if (settings.keep_local.empty()) return copies;
  ASSIGN_OR_RETURN(copies.folder, OpenStore(settings.keep_local));
  copies.spool = std::make_unique<Spool>(
      *copies.folder, Spool::Options{.delete_after_upload = settings.delete_local_after_upload},
      log);
  RETURN_IF_ERROR(copies.spool->Open(run_store, run.fingerprint));
  return copies;
}

// A run that this worker has joined, and how it tells of its work.
struct JoinedRun {
  const ExtractOptions& options;
  ExtractInputs& inputs;
  const Run& run;
  const std::string& compute;
  const std::string& session;
  StopRequest& stop;
  Progress& progress;
  const Logger& log;
  Reporter& reporter;
  CheckpointMirror& mirror;
  TraceWriter* trace;  // null: none
};

Reporter::Mode ProgressMode(const ExtractOptions& options) {
  if (options.settings.json) return Reporter::Mode::kJson;
  if (options.settings.quiet) return Reporter::Mode::kQuiet;
  if (options.log.format != LogFormat::kPlain) return Reporter::Mode::kLog;
  return Reporter::DefaultMode();
}

// Null if none is asked for.
Result<std::unique_ptr<TraceWriter>> OpenTrace(const ExtractOptions& options,
                                               const std::string& session) {
  if (options.settings.trace.empty()) return std::unique_ptr<TraceWriter>();
  Result<std::unique_ptr<TraceWriter>> trace =
      TraceWriter::Create(options.settings.trace, Clock::Real(),
                          fmt::format("worker {}, session {}", options.worker_id, session));
  if (!trace.ok()) return trace.status().WithContext("--trace");
  return trace;
}

int64_t PollMs(const ExtractOptions& options) {
  return std::clamp<int64_t>(options.lease_ttl_ms / 20, 50, 2'000);
}

// Ends the process where it stands: what a device that hangs still holds cannot be freed. Units in
// hand go to whoever comes after the lease's time to live.
[[noreturn]] void LeaveHungDevice(const std::string& message, const Logger& log) {
  log.Error("the device hangs: " + message +
            " (--device-timeout); this worker ends, start the same command again");
  std::fflush(nullptr);
  _exit(kExitStopped);
}

// Loads the engine and works until the run is complete or the worker is stopped.
Result<Worker::Outcome> Work(const JoinedRun& joined) {
  const ExtractOptions& options = joined.options;
  const ExtractSettings& settings = options.settings;
  ExtractInputs& inputs = joined.inputs;
  Clock& clock = Clock::Real();
  ASSIGN_OR_RETURN(const LocalCopies copies,
                   OpenLocalCopies(settings, *inputs.store, joined.run, joined.log));
  EngineOptions engine_options =
      EngineOptionsOf(options, joined.compute == "bf16" ? DType::kBf16 : DType::kF32);
  ASSIGN_OR_RETURN(const TokenSelection selection,
                   ParseTokenSelection(settings.samples.tokens, settings.samples.exclude_tokens));
  engine_options.stored_share = LikelyShare(selection);
  engine_options.on_hang = [&](const std::string& message) {
    LeaveHungDevice(message, joined.log);
  };
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                   CreateEngine(*inputs.model, inputs.hooks, engine_options));
  SayWhatIsPlanned(joined.log, options, inputs, joined.run, *engine);
  SayIfShardsAreTiny(joined.log, options, joined.run);

  Ledger ledger(*inputs.store, clock, joined.run,
                {.worker_id = options.worker_id,
                 .session = joined.session,
                 .worker_count =
                     settings.num_workers > 0 ? std::optional(settings.num_workers) : std::nullopt,
                 .lease_ttl_ms = options.lease_ttl_ms,
                 .idle_poll_ms = PollMs(options)});
  Worker worker({.store = *inputs.store,
                 .clock = clock,
                 .run = joined.run,
                 .ledger = ledger,
                 .samples = *inputs.samples,
                 .engine = *engine,
                 .format = inputs.format,
                 .heartbeat = HeartbeatOf(options, joined.session, *engine, clock),
                 .progress = joined.progress,
                 .stop = joined.stop,
                 .spool = copies.spool.get(),
                 .report =
                     [&] {
                       joined.reporter.Update();
                       joined.mirror.Write("running", joined.log);
                     },
                 .log = joined.log,
                 .trace = joined.trace},
                {.arenas = settings.arenas,
                 .stop_grace_ms = options.stop_grace_ms,
                 .beat_interval_ms = BeatIntervalMs(options.lease_ttl_ms),
                 .idle_poll_ms = PollMs(options),
                 .max_consecutive_failures = settings.max_failures_in_a_row,
                 .fail_on_bad_sample = settings.on_bad_sample == "fail"});
  const PreemptionWatch watch(
      {.cloud = options.cloud},
      [&](const std::string& notice) {
        joined.log.Warning("pre-emption notice: " + notice + "; stopping as after SIGTERM");
        raise(SIGTERM);
      },
      joined.log);
  return worker.Run();
}

Result<int> Extract(ExtractOptions options) {
  const ExtractSettings& settings = options.settings;
  Clock& clock = Clock::Real();
  const int64_t begin_ms = clock.MonotonicMs();
  static StopRequest stop;
  StopOnSignals(stop, options.stop_grace_ms);
  options.worker_id = settings.worker_id ? *settings.worker_id : WorkerIdFromCloud(options.cloud);

  ASSIGN_OR_RETURN(ExtractInputs inputs, OpenInputs(options));
  ASSIGN_OR_RETURN(const std::string compute, ChooseCompute(*inputs.store, options));
  ASSIGN_OR_RETURN(const RunSpec wanted, SpecOf(options, inputs, compute));
  const UnitSize unit_size = UnitSize::Of(inputs.format, options.shard_bytes);
  const JoinParts join_parts{
      .make_plan = [&](SampleRange range) { return PlanUnits(*inputs.samples, range, unit_size); },
      .dataset_fingerprint =
          [&](int64_t count) { return inputs.samples->FingerprintOfFirst(count); },
      .extend = settings.extend,
      .allow_mixed_engines = settings.allow_mixed_engines};
  ASSIGN_OR_RETURN(const Run run, CreateOrJoinRun(*inputs.store, wanted, join_parts));
  inputs.format.run_fingerprint = run.fingerprint;

  Progress progress;
  const std::string session = RandomSessionId();
  StderrLines lines;
  const Logger log =
      MakeLogger(options.log, clock, lines, options.worker_id)
          .With({{"run", run.fingerprint}, {"worker", options.worker_id}, {"session", session}});
  Reporter reporter(clock, progress, lines, log,
                    {.mode = ProgressMode(options),
                     .worker_id = options.worker_id,
                     .unit_count = run.plan.unit_count(),
                     .bytes_per_token = inputs.bytes_per_token});
  CheckpointMirror mirror(options, progress);
  ASSIGN_OR_RETURN(const std::unique_ptr<TraceWriter> trace, OpenTrace(options, session));
  const auto metrics = [&] {
    return WorkerMetrics(progress, run.plan.unit_count(),
                         {{"worker", std::to_string(options.worker_id)}, {"session", session}});
  };
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> server, ServeMetrics(settings, metrics));
  if (server) log.Notice("metrics: " + server->url() + "/metrics");
  // A complete run needs no engine.
  ASSIGN_OR_RETURN(const std::optional<Completion> completed, FindCompletion(*inputs.store, run));
  bool is_complete = completed.has_value();
  if (completed) {
    ASSIGN_OR_RETURN(is_complete, IsStillComplete(*inputs.store, run));
  }
  Result<Worker::Outcome> outcome = Worker::Outcome::kComplete;
  if (is_complete) {
    // Local copies of an earlier session are settled all the same.
    RETURN_IF_ERROR(OpenLocalCopies(settings, *inputs.store, run, log).status());
  } else {
    outcome = Work({options, inputs, run, compute, session, stop, progress, log, reporter, mirror,
                    trace.get()});
    reporter.Finish();
    log.Notice(SummaryOf(progress, clock.MonotonicMs() - begin_ms));
    const std::string cut = WhatWasCut(progress, inputs.samples->reader().settings());
    if (!cut.empty()) log.Notice(cut);
  }
  if (!outcome.ok()) {
    mirror.Write("failed", log);
    if (options.log.format != LogFormat::kPlain) {
      log.Error(outcome.status().message());
      return static_cast<int>(kExitError);
    }
    return outcome.status();
  }
  mirror.Write(*outcome == Worker::Outcome::kComplete ? "completed" : "stopped", log);
  return Conclude(*inputs.store, clock, run, *outcome,
                  {.worker_id = options.worker_id,
                   .session = session,
                   .lease_ttl_ms = options.lease_ttl_ms,
                   .poll_ms = PollMs(options),
                   .should_stop = [&] { return stop.requested(); }},
                  log);
}

// Errors before there is a run, as events where that is asked for. Wrong usage is for people.
Result<int> ExtractOrLog(const ExtractOptions& options) {
  Result<int> status = Extract(options);
  const bool is_about_setting = status.status().code() == Code::kInvalidArgument &&
                                status.status().message().starts_with("--");
  if (status.ok() || is_about_setting || options.log.format == LogFormat::kPlain) return status;
  StderrLines lines;
  MakeLogger(options.log, Clock::Real(), lines, options.worker_id).Error(status.status().message());
  return static_cast<int>(kExitError);
}

}  // namespace

void AddExtractCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("extract", "Be one worker of a run: compute activations and store them");
  command->footer(kExamples);
  OnExtractSettings(*command, exit_status, {}, ExtractOrLog);
}

}  // namespace thresher
