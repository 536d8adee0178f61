#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "base/random.h"
#include "cli/command.h"
#include "cli/extract_options.h"
#include "cli/reporter.h"
#include "cli/stop_signals.h"
#include "cli/version.h"
#include "engine/cpu/cpu_engine.h"
#include "extract/checkpoint.h"
#include "extract/completion.h"
#include "extract/ledger.h"
#include "extract/planner.h"
#include "extract/worker.h"
#include "model/model.h"
#include "store/store.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr const char* kExamples = R"(Examples:
  thresher extract --model Qwen2.5-0.5B --dataset tasks.jsonl --output runs/first
  thresher extract --model M --dataset d.jsonl --output runs/second \
      --hooks resid_post,mlp_out --layers 0-11 --shard-bytes 256MB
  Start the same command on as many machines as there are, each with its own --worker-id;
  start it again after a crash or a pre-emption: it goes on with what is missing.

Exit status: 0 complete, 1 error, 2 wrong usage, 3 complete with samples or units set aside,
75 stopped early (start the same command again).)";

// Everything that a worker needs, in the order in which it is made.
struct Inputs {
  std::unique_ptr<Store> store;
  std::optional<Dataset> dataset;
  std::optional<Model> model;
  std::optional<SampleReader> reader;
  std::vector<HookPoint> hooks;
  ShardFormat format;
  int64_t bytes_per_token = 0;
  int64_t max_tokens = 0;
  int64_t sample_count = 0;
};

Result<ShardFormat> FormatOf(const Model& model, const std::vector<HookPoint>& hooks, DType dtype) {
  ShardFormat format;
  format.dtype = dtype;
  for (const HookPoint& hook : hooks) {
    ASSIGN_OR_RETURN(const ValueId value, model.graph.FindHook(hook));
    const int64_t width = model.graph.width(value);
    if (HasScale(dtype) && width % static_cast<int64_t>(sizeof(float)) != 0) {
      return InvalidArgument("--dtype " + std::string(DTypeName(dtype)) + ": hook point " +
                             HookName(hook) + " has width " + std::to_string(width) +
                             ", which is not a multiple of 4; use bf16");
    }
    format.hooks.push_back({HookName(hook), width});
  }
  return format;
}

int64_t BytesPerToken(const ShardFormat& format) {
  int64_t bytes = 2 * DTypeBytes(DType::kI32);  // token id, position
  for (const ShardHook& hook : format.hooks) {
    bytes += hook.width * DTypeBytes(format.dtype);
    if (HasScale(format.dtype)) bytes += DTypeBytes(DType::kF32);
  }
  return bytes;
}

Result<int64_t> ChooseMaxTokens(int64_t asked, const Model& model) {
  constexpr int64_t kDefault = 2048;
  if (asked == 0) return std::min(kDefault, model.max_positions);
  if (asked <= model.max_positions) return asked;
  return InvalidArgument(
      fmt::format("--max-tokens {}: this model has {} positions (max_position_embeddings)", asked,
                  model.max_positions));
}

Result<Inputs> OpenInputs(const ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  Inputs inputs;
  ASSIGN_OR_RETURN(inputs.store, OpenStore(settings.output));
  ASSIGN_OR_RETURN(inputs.dataset, Dataset::Open(settings.dataset));
  ASSIGN_OR_RETURN(inputs.model, LoadModel(settings.model));
  const Model& model = *inputs.model;
  ASSIGN_OR_RETURN(inputs.max_tokens, ChooseMaxTokens(settings.max_tokens, model));
  ASSIGN_OR_RETURN(inputs.hooks, SelectHooks(settings.hooks, settings.layers,
                                             static_cast<int32_t>(model.layer_count)));
  ASSIGN_OR_RETURN(inputs.format, FormatOf(model, inputs.hooks, options.dtype));
  inputs.bytes_per_token = BytesPerToken(inputs.format);
  SampleReaderOptions reader_options;
  reader_options.max_tokens = inputs.max_tokens;
  reader_options.overlong = options.overlong;
  reader_options.vocabulary_size = model.vocabulary_size;
  ASSIGN_OR_RETURN(inputs.reader, SampleReader::Create(settings.model, reader_options));
  inputs.sample_count = inputs.dataset->record_count();
  if (settings.max_samples > 0) {
    inputs.sample_count = std::min(inputs.sample_count, settings.max_samples);
  }
  return inputs;
}

RunSpec SpecOf(const ExtractOptions& options, const Inputs& inputs, const std::string& compute) {
  RunSpec spec;
  const Model& model = *inputs.model;
  spec.model = {.path = options.settings.model,
                .architecture = model.architecture,
                .layer_count = model.layer_count,
                .hidden_size = model.hidden_size,
                .config_fingerprint = model.config_fingerprint,
                .weights_fingerprint = model.weights.Fingerprint()};
  spec.dataset = {.path = options.settings.dataset,
                  .fingerprint = inputs.dataset->FingerprintOfFirst(inputs.sample_count),
                  .sample_count = inputs.sample_count};
  spec.prompts = {.fingerprint = inputs.reader->fingerprint(),
                  .max_tokens = inputs.max_tokens,
                  .overlong = options.settings.overlong};
  for (const ShardHook& hook : inputs.format.hooks) spec.capture.hooks.push_back(hook.name);
  spec.capture.dtype = std::string(DTypeName(options.dtype));
  spec.capture.compute = compute;
  spec.capture.engine = options.settings.engine;
  spec.capture.batch_tokens = options.settings.batch_tokens;
  spec.shard_bytes = options.shard_bytes;
  spec.program_version = kVersion;
  return spec;
}

// Which arithmetic: what was asked for, else what the run has, else what the processor does best.
Result<std::string> ChooseCompute(Store& store, CpuCompute asked) {
  if (asked == CpuCompute::kF32) return std::string("f32");
  if (asked == CpuCompute::kBf16) return std::string("bf16");
  const Result<Run> run = LoadRun(store);
  if (!run.ok() && run.status().code() != Code::kNotFound) return run.status();
  if (!run.ok()) return std::string(ProcessorHasBf16() ? "bf16" : "f32");
  if (run->spec.capture.compute == "bf16" && !ProcessorHasBf16()) {
    return FailedPrecondition(
        "this run computes in bf16 and this processor has no bf16 arithmetic; say --compute bf16 "
        "to emulate it, slowly");
  }
  return run->spec.capture.compute;
}

Heartbeat HeartbeatOf(const ExtractOptions& options, const std::string& session,
                      const Engine& engine, Clock& clock) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  Heartbeat heartbeat;
  heartbeat.worker_id = options.settings.worker_id;
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
  CheckpointMirror(const ExtractSettings& settings, const Progress& progress)
      : settings_(settings), progress_(progress) {}

  // Writes if something was committed since the last time, or if `status` is new.
  void Write(const std::string& status, Reporter& reporter) {
    const int64_t commits = progress_.units_committed;
    if (settings_.no_checkpointing || broken_) return;
    if (status == last_status_ && commits == last_commits_) return;
    last_status_ = status;
    last_commits_ = commits;
    Checkpoint checkpoint;
    checkpoint.worker_id = settings_.worker_id;
    checkpoint.last_processed_sample_idx = progress_.last_sample_committed;
    checkpoint.total_samples_processed = progress_.samples_committed;
    checkpoint.total_shards = progress_.units_committed;
    checkpoint.dataset_path = settings_.dataset;
    checkpoint.model_path = settings_.model;
    checkpoint.status = status;
    const Status written = WriteCheckpoint(settings_.checkpoint_dir, checkpoint);
    if (written.ok()) return;
    broken_ = true;
    reporter.Event("no local checkpoint mirror: " + written.message());
  }

 private:
  const ExtractSettings& settings_;
  const Progress& progress_;
  std::string last_status_;
  int64_t last_commits_ = 0;
  bool broken_ = false;
};

void SayWhatIsPlanned(Reporter& reporter, const ExtractOptions& options, const Inputs& inputs,
                      const Run& run, const Engine& engine) {
  reporter.Say(
      fmt::format("run {}: {} samples in {} units, {} hook points, {} a token; {} ({}, {})",
                  inputs.store->url(), FormatCount(run.spec.dataset.sample_count),
                  FormatCount(run.plan.unit_count()), inputs.format.hooks.size(),
                  FormatBytes(static_cast<double>(inputs.bytes_per_token)),
                  inputs.model->architecture, engine.info().compute, engine.info().device));
  reporter.Say(fmt::format("shards are built in at most {} arenas of about {}",
                           options.settings.arenas,
                           FormatBytes(static_cast<double>(options.shard_bytes))));
}

std::string SummaryOf(const Progress& progress, int64_t elapsed_ms) {
  return fmt::format(
      "committed {} units, {} samples, {} tokens, {} in {}; {} duplicates, {} failed",
      progress.units_committed.load(), FormatCount(progress.samples_committed),
      FormatCount(progress.tokens_committed),
      FormatBytes(static_cast<double>(progress.bytes_committed)), FormatDuration(elapsed_ms),
      progress.units_duplicate.load(), progress.units_failed.load());
}

// What is left to do when a worker's pipeline has ended: the manifest, and the exit status.
Result<int> Conclude(Store& store, Clock& clock, const Run& run, Worker::Outcome outcome,
                     const ConcludeOptions& options, Reporter& reporter) {
  std::optional<Completion> completion;
  if (outcome == Worker::Outcome::kComplete) {
    ASSIGN_OR_RETURN(completion, ConcludeRun(store, clock, run, options));
    if (!completion && !options.should_stop()) {
      return DataLoss("commits that were there have disappeared from " + store.url() +
                      "; see thresher verify, and thresher clean --reopen");
    }
  }
  if (!completion) {
    reporter.Event("stopped before the run was complete; start the same command again to go on");
    return static_cast<int>(kExitStopped);
  }
  if (!completion->HasExceptions()) {
    reporter.Say("the run is complete: " + store.url());
    return static_cast<int>(kExitComplete);
  }
  reporter.Event(
      "the run is complete with exceptions: samples or units were set aside; see "
      "thresher status " +
      store.url());
  return static_cast<int>(kExitExceptions);
}

int64_t PollMs(const ExtractOptions& options) {
  return std::clamp<int64_t>(options.lease_ttl_ms / 20, 50, 2'000);
}

Result<int> Extract(const ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  Clock& clock = Clock::Real();
  const int64_t begin_ms = clock.MonotonicMs();
  static StopRequest stop;
  StopOnSignals(stop, options.stop_grace_ms);

  ASSIGN_OR_RETURN(Inputs inputs, OpenInputs(options));
  ASSIGN_OR_RETURN(const std::string compute, ChooseCompute(*inputs.store, options.compute));
  const RunSpec wanted = SpecOf(options, inputs, compute);
  const int64_t unit_tokens = std::max<int64_t>(1, options.shard_bytes / inputs.bytes_per_token);
  const JoinParts join_parts{
      .make_plan =
          [&](SampleRange samples) {
            return PlanUnits(*inputs.dataset, *inputs.reader, samples, unit_tokens);
          },
      .dataset_fingerprint =
          [&](int64_t count) { return inputs.dataset->FingerprintOfFirst(count); },
      .extend = settings.extend};
  ASSIGN_OR_RETURN(const Run run, CreateOrJoinRun(*inputs.store, wanted, join_parts));
  inputs.format.run_fingerprint = run.fingerprint;
  const CpuEngineOptions engine_options{
      .compute = compute == "bf16" ? CpuCompute::kBf16 : CpuCompute::kF32,
      .threads = settings.threads,
      .max_batch_tokens = settings.batch_tokens,
      .stored_dtype = options.dtype};
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                   CreateCpuEngine(*inputs.model, inputs.hooks, engine_options));

  Progress progress;
  Reporter reporter(clock, progress,
                    {.mode = settings.json    ? Reporter::Mode::kJson
                             : settings.quiet ? Reporter::Mode::kQuiet
                                              : Reporter::DefaultMode(),
                     .worker_id = settings.worker_id,
                     .unit_count = run.plan.unit_count(),
                     .bytes_per_token = inputs.bytes_per_token});
  SayWhatIsPlanned(reporter, options, inputs, run, *engine);
  CheckpointMirror mirror(settings, progress);
  const std::string session = RandomSessionId();
  Ledger ledger(*inputs.store, clock, run,
                {.worker_id = settings.worker_id,
                 .session = session,
                 .worker_count =
                     settings.num_workers > 0 ? std::optional(settings.num_workers) : std::nullopt,
                 .lease_ttl_ms = options.lease_ttl_ms,
                 .idle_poll_ms = PollMs(options)});
  Worker worker({.store = *inputs.store,
                 .clock = clock,
                 .run = run,
                 .ledger = ledger,
                 .dataset = *inputs.dataset,
                 .reader = *inputs.reader,
                 .engine = *engine,
                 .format = inputs.format,
                 .heartbeat = HeartbeatOf(options, session, *engine, clock),
                 .progress = progress,
                 .stop = stop,
                 .report =
                     [&] {
                       reporter.Update();
                       mirror.Write("running", reporter);
                     },
                 .events = [&](const std::string& text) { reporter.Event(text); }},
                {.arenas = settings.arenas,
                 .stop_grace_ms = options.stop_grace_ms,
                 .beat_interval_ms = std::clamp<int64_t>(options.lease_ttl_ms / 6, 10, 5'000),
                 .idle_poll_ms = PollMs(options)});
  const Result<Worker::Outcome> outcome = worker.Run();
  reporter.Finish();
  reporter.Say(SummaryOf(progress, clock.MonotonicMs() - begin_ms));
  if (!outcome.ok()) {
    mirror.Write("failed", reporter);
    return outcome.status();
  }
  mirror.Write(*outcome == Worker::Outcome::kComplete ? "completed" : "stopped", reporter);
  return Conclude(*inputs.store, clock, run, *outcome,
                  {.worker_id = settings.worker_id,
                   .session = session,
                   .lease_ttl_ms = options.lease_ttl_ms,
                   .poll_ms = PollMs(options),
                   .should_stop = [&] { return stop.requested(); }},
                  reporter);
}

}  // namespace

void AddExtractCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("extract", "Be one worker of a run: compute activations and store them");
  auto settings = std::make_shared<ExtractSettings>();
  auto sources = std::make_shared<Settings>(*command);
  auto config_path = std::make_shared<std::string>();
  RegisterExtractSettings(*sources, *settings);
  command->add_option("--config", *config_path, "TOML file with any of these settings");
  command->footer(kExamples);
  command->callback([=, &exit_status] {
    Status filled = sources->FillFrom(*config_path);
    const Result<ExtractOptions> options =
        filled.ok() ? CheckExtractSettings(*settings) : Result<ExtractOptions>(filled);
    if (!options.ok()) {
      ReportError(options.status());
      exit_status = kExitUsage;
      return;
    }
    const Result<int> status = Extract(*options);
    exit_status = status.ok() ? *status : ReportError(status.status());
  });
}

}  // namespace thresher
