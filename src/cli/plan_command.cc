#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/byte_size.h"
#include "base/random.h"
#include "cli/command.h"
#include "cli/data_access.h"
#include "cli/extract_flags.h"
#include "cli/extract_inputs.h"
#include "cli/progress_line.h"
#include "extract/planner.h"
#include "forecast/forecast.h"
#include "forecast/prices.h"
#include "forecast/report.h"
#include "forecast/survey.h"
#include "forecast/trial.h"
#include "graph/hook_point.h"
#include "model/model.h"
#include "sample/sample_set.h"

namespace thresher {
namespace {

constexpr const char* kExamples = R"(Examples:
  thresher plan --model Qwen2.5-0.5B --dataset tasks.jsonl
  thresher plan --config job.toml --exact --workers 50 --machine tpu-v5e --output gs://bucket/run
  thresher plan --model Qwen2.5-0.5B --assume-samples 200000 --assume-tokens 2048
  thresher plan --model M --dataset d.jsonl --hooks all --tokens every:8 --json

Takes the settings of thresher extract and says what that would do, take and cost. Stores nothing.
Of large data sets some thousand samples are read; sums then have an error bar. Prices are list
prices with dates: print them with --show-prices, edit them, and give them with --prices.)";

// What this command takes beside the settings.
struct PlanFlags {
  bool exact = false;
  bool trial = false;
  bool no_trial = false;
  int64_t workers = 0;  // 0: --num-workers, or 1
  std::vector<std::string> machines;
  std::string prices;
  bool show_prices = false;
  int64_t assume_samples = 0;  // 0: there is a data set
  int64_t assume_tokens = 0;
};

// Without --trial, larger models are not loaded for one.
constexpr int64_t kMostTrialBytes = int64_t{4} << 30;
constexpr double kTrialSeconds = 3;
// Tokens of the data that a trial runs in turn.
constexpr size_t kTrialTokens = size_t{1} << 14;
constexpr int64_t kMostAssumedTokens = 100'000'000;
constexpr int64_t kMostAssumedSamples = 1'000'000'000'000;
constexpr int64_t kReadAtOnce = 1024;

Status CheckFlags(const PlanFlags& flags, const ExtractSettings& settings) {
  const auto check = [](const char* flag, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return OkStatus();
    return InvalidArgument(
        fmt::format("{}: expected a number from {} to {}, found {}", flag, least, most, value));
  };
  RETURN_IF_ERROR(check("--workers", flags.workers, 0, 10'000'000));
  RETURN_IF_ERROR(check("--assume-samples", flags.assume_samples, 0, kMostAssumedSamples));
  RETURN_IF_ERROR(check("--assume-tokens", flags.assume_tokens, 0, kMostAssumedTokens));
  if (flags.trial && flags.no_trial) return InvalidArgument("--trial and --no-trial: give one");
  if (settings.model.empty()) {
    return InvalidArgument("--model is missing: give the model's folder, or hf://owner/name");
  }
  const bool assumes = flags.assume_samples > 0;
  if (assumes != (flags.assume_tokens > 0)) {
    return InvalidArgument("--assume-samples and --assume-tokens: give both, from 1");
  }
  if (assumes && flags.exact) {
    return InvalidArgument("--exact: with --assume-samples there is nothing to read");
  }
  if (assumes && !settings.dataset.empty()) {
    return InvalidArgument("--assume-samples: it plans without a data set; leave --dataset away");
  }
  if (!assumes && settings.dataset.empty()) {
    return InvalidArgument(
        "--dataset is missing: give the data set, or --assume-samples and --assume-tokens");
  }
  return OkStatus();
}

// What is collected of the samples on the way to the forecast.
struct PlannedWork {
  Survey survey;
  std::optional<int64_t> unit_count;
  std::vector<std::vector<int32_t>> trial_sequences;
};

// Keeps the first sequences for a trial.
void KeepForTrial(const SampleOrRejection& outcome,
                  std::vector<std::vector<int32_t>>& trial_sequences) {
  const auto* sample = std::get_if<Sample>(&outcome);
  if (!sample) return;
  size_t kept = 0;
  for (const std::vector<int32_t>& sequence : trial_sequences) kept += sequence.size();
  for (size_t s = 1; s < sample->sequence_offsets.size() && kept < kTrialTokens; ++s) {
    const auto* begin = sample->token_ids.data() + sample->sequence_offsets[s - 1];
    const auto* end = sample->token_ids.data() + sample->sequence_offsets[s];
    trial_sequences.emplace_back(begin, end);
    kept += trial_sequences.back().size();
  }
}

Result<PlannedWork> PlanDataset(const PlanFlags& flags, const ExtractSettings& settings,
                                const SampleSet& samples, const UnitSize& unit_size,
                                const Windows& windows) {
  SampleRange range{0, samples.sample_count()};
  if (settings.max_samples > 0) range.count = std::min(range.count, settings.max_samples);
  if (range.count == 0) return InvalidArgument(samples.address() + ": there are no samples");
  Surveyor surveyor(
      {.size = unit_size, .windows = windows, .variants = samples.reader().settings().variants});
  PlannedWork work;
  int64_t examined = 0;
  const auto add = [&](int64_t index, const SampleOrRejection& sample) {
    surveyor.Add(index, samples.RecordBytes(index), sample);
    ++examined;
  };
  const bool reads_again = flags.exact && range.count > kMaxSamplesReadWholly;
  ASSIGN_OR_RETURN(const Plan plan, PlanUnits(samples, range, unit_size,
                                              [&](int64_t index, const SampleOrRejection& sample) {
                                                KeepForTrial(sample, work.trial_sequences);
                                                if (!reads_again) add(index, sample);
                                              }));
  work.unit_count = plan.unit_count();
  if (flags.exact && examined < range.count) {
    // The planner's few were not all.
    Surveyor whole(
        {.size = unit_size, .windows = windows, .variants = samples.reader().settings().variants});
    surveyor = std::move(whole);
    ProgressLine progress(
        Clock::Real(),
        {.verb = "read", .noun = "samples", .total = range.count, .quiet = settings.quiet});
    int64_t bytes = 0;
    for (int64_t first = 0; first < range.count; first += kReadAtOnce) {
      const int64_t count = std::min(kReadAtOnce, range.count - first);
      ASSIGN_OR_RETURN(const std::vector<SampleOrRejection> read, samples.Read(first, count));
      for (int64_t i = 0; i < count; ++i) {
        add(first + i, read[static_cast<size_t>(i)]);
        bytes += samples.RecordBytes(first + i);
      }
      progress.Update(first + count, bytes);
    }
  }
  work.survey = surveyor.Finish(range, [&](int64_t index) { return samples.RecordBytes(index); });
  return work;
}

Result<PlannedWork> PlanAssumed(const PlanFlags& flags, const SampleSettings& settings,
                                const ModelOutline& model, const UnitSize& unit_size,
                                const Windows& windows) {
  PlannedWork work;
  ASSIGN_OR_RETURN(work.survey, AssumedSurvey(flags.assume_samples, flags.assume_tokens, settings,
                                              unit_size, windows));
  Random random(1);
  std::vector<int32_t> sequence(
      static_cast<size_t>(std::min(flags.assume_tokens, settings.max_tokens)));
  for (int32_t& id : sequence) {
    id = static_cast<int32_t>(random.Below(static_cast<uint64_t>(model.vocabulary_size)));
  }
  work.trial_sequences.push_back(std::move(sequence));
  return work;
}

// A trial, or why there is none.
struct TrialOutcome {
  std::optional<TrialSpeed> speed = std::nullopt;
  std::string why_not = {};
};

Result<TrialOutcome> TryModel(const PlanFlags& flags, const ExtractOptions& options,
                              const std::string& model_folder, const std::vector<HookPoint>& hooks,
                              const std::vector<std::vector<int32_t>>& sequences) {
  if (flags.no_trial) return TrialOutcome{.why_not = "--no-trial"};
  const Result<Model> model = LoadModel(model_folder);
  if (!model.ok()) {
    if (flags.trial) return model.status().WithContext("--trial");
    return TrialOutcome{.why_not = model.status().message()};
  }
  if (!flags.trial && model->weights.total_bytes() > kMostTrialBytes) {
    return TrialOutcome{
        .why_not = fmt::format("the weights are {}; --trial loads them",
                               FormatBytes(static_cast<double>(model->weights.total_bytes())))};
  }
  const bool in_bf16 =
      options.compute ? *options.compute == DType::kBf16 : EngineHasBf16(options.settings.engine);
  const EngineOptions engine = EngineOptionsOf(options, in_bf16 ? DType::kBf16 : DType::kF32);
  ASSIGN_OR_RETURN(TrialSpeed speed,
                   RunTrial(*model, hooks, engine, sequences, kTrialSeconds, Clock::Real()));
  return TrialOutcome{.speed = std::move(speed)};
}

Result<PriceList> LoadPrices(const std::string& path) {
  if (path.empty()) return ParsePrices(BuiltInPrices(), "deploy/prices.toml (built in)");
  return ReadPrices(path);
}

std::string SchemeOf(const std::string& output) {
  const size_t end = output.find("://");
  if (end != std::string::npos) return output.substr(0, end);
  return output.empty() ? "" : "file";
}

Result<int> MakePlan(const PlanFlags& flags, const ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  ASSIGN_OR_RETURN(const std::string model_folder, LocalModel(options));
  ASSIGN_OR_RETURN(const ModelOutline model, ReadModelOutline(model_folder));
  ForecastInputs inputs{.model = model};
  inputs.workers = flags.workers > 0 ? flags.workers : std::max<int64_t>(1, settings.num_workers);
  inputs.batch_tokens = settings.batch_tokens;
  inputs.scheme = SchemeOf(settings.output);
  ASSIGN_OR_RETURN(inputs.prices, LoadPrices(flags.prices));
  inputs.machines = inputs.prices.machines;
  if (!flags.machines.empty()) inputs.machines.clear();
  for (const std::string& name : flags.machines) {
    ASSIGN_OR_RETURN(MachinePrice machine, inputs.prices.FindMachine(name));
    inputs.machines.push_back(std::move(machine));
  }
  ASSIGN_OR_RETURN(inputs.hooks, SelectHooks(settings.hooks, settings.layers,
                                             static_cast<int32_t>(model.layer_count)));
  ASSIGN_OR_RETURN(inputs.format, ShardFormatOf(model.graph, inputs.hooks, options.dtype));
  inputs.unit_size = UnitSize::Of(inputs.format, options.shard_bytes);
  const Windows windows = WindowsOf(model.graph);

  ReportContext context{.model = settings.model, .dataset = settings.dataset};
  context.settings = settings.samples;
  ASSIGN_OR_RETURN(context.settings.max_tokens,
                   ChooseMaxTokens(settings.samples.max_tokens, model.max_positions));
  PlannedWork work;
  if (flags.assume_samples > 0) {
    ASSIGN_OR_RETURN(work, PlanAssumed(flags, context.settings, model, inputs.unit_size, windows));
  } else {
    ASSIGN_OR_RETURN(const SampleSet samples, OpenSamples(options, model_folder, model));
    context.settings = samples.reader().settings();
    context.record_count = samples.sample_count() / context.settings.variants;
    ASSIGN_OR_RETURN(work, PlanDataset(flags, settings, samples, inputs.unit_size, windows));
  }
  inputs.survey = std::move(work.survey);
  inputs.unit_count = work.unit_count;
  inputs.token_selection = context.settings.tokens;
  inputs.variants = std::max<int64_t>(1, context.settings.variants);
  ASSIGN_OR_RETURN(TrialOutcome trial,
                   TryModel(flags, options, model_folder, inputs.hooks, work.trial_sequences));
  inputs.trial = std::move(trial.speed);
  context.no_trial = std::move(trial.why_not);

  ASSIGN_OR_RETURN(const Forecast forecast, MakeForecast(inputs));
  const std::string report = settings.json ? ForecastJson(context, inputs, forecast)
                                           : ForecastText(context, inputs, forecast);
  std::fputs(report.c_str(), stdout);
  return static_cast<int>(kExitComplete);
}

Result<int> RunPlan(const PlanFlags& flags, const ExtractOptions& options) {
  if (flags.show_prices) {
    std::fputs(std::string(BuiltInPrices()).c_str(), stdout);
    return static_cast<int>(kExitComplete);
  }
  const Status usage = CheckFlags(flags, options.settings);
  if (!usage.ok()) return ReportUsageError(usage);
  return MakePlan(flags, options);
}

}  // namespace

void AddPlanCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      "plan", "Say what an extraction would do, take and cost, before anything is spent");
  command->footer(kExamples);
  auto flags = std::make_shared<PlanFlags>();
  command->add_flag("--exact", flags->exact, "Read every sample instead of some thousand");
  command->add_flag("--trial", flags->trial,
                    "Run the model for a few seconds, however large it is [if below 4 GiB]");
  command->add_flag("--no-trial", flags->no_trial, "Do not run the model");
  command->add_option("--workers", flags->workers, "Machines side by side [--num-workers, or 1]");
  command->add_option("--machine", flags->machines,
                      "A machine of the price list; may be given again [all]");
  command->add_option("--prices", flags->prices, "A price list like deploy/prices.toml [built in]");
  command->add_flag("--show-prices", flags->show_prices, "Print the built-in price list");
  command->add_option("--assume-samples", flags->assume_samples,
                      "Plan without a data set: so many samples ...");
  command->add_option("--assume-tokens", flags->assume_tokens, "... of so many tokens each");
  OnExtractSettings(*command, exit_status, {.model = false, .dataset = false, .output = false},
                    [flags](const ExtractOptions& options) { return RunPlan(*flags, options); });
}

}  // namespace thresher
