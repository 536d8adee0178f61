#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "base/random.h"
#include "benchmark/engine_benchmark.h"
#include "benchmark/random_model.h"
#include "cli/bench_devices.h"
#include "cli/command.h"
#include "cli/data_access.h"
#include "cli/extract_flags.h"
#include "cli/extract_inputs.h"
#include "graph/hook_point.h"
#include "model/model.h"
#include "sample/sample_set.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher bench
  thresher bench --shape smollm2-135m --lengths 512,512,512,512 --hooks resid_post,mlp_out
  thresher bench --model Qwen2.5-0.5B --dataset tasks.jsonl --max-samples 64 --json
  thresher bench --write /data            # the rows go to a file there, which is gone afterwards
  thresher bench --engine cuda --shape qwen2.5-7b --mesh data=1

Runs the engine on a model with random weights, or on --model, and says what part it reaches of the
speed that this machine's matrix products have on the same shapes, measured in turns with it; of an
engine on devices: of the published peak of the device, and of large products through the same
plug-in; and what it costs to bring the rows to host memory. The settings are those of thresher
extract; rows are computed, stored in memory, and thrown away.)";

// What this command takes beside the settings.
struct BenchFlags {
  std::string shape;
  std::vector<int64_t> lengths;
  int64_t repeats = 3;
  std::string write;
};

constexpr const char* kDefaultShape = "qwen2.5-0.5b";
constexpr int64_t kDefaultLength = 2048;
constexpr int64_t kDefaultSamples = 64;

CpuCompute ComputeOf(const std::optional<DType>& asked) {
  if (!asked) return CpuCompute::kAuto;
  return *asked == DType::kBf16 ? CpuCompute::kBf16 : CpuCompute::kF32;
}

Status CheckFlags(const BenchFlags& flags, const ExtractSettings& settings) {
  if (settings.engine != "cpu" && !flags.write.empty()) {
    return InvalidArgument("--write: only the engine cpu is measured with a disk; leave it away");
  }
  if (!flags.shape.empty() && !settings.model.empty()) {
    return InvalidArgument("--shape: it is of a model with random weights; leave --model away");
  }
  if (!settings.dataset.empty() && settings.model.empty()) {
    return InvalidArgument("--dataset: its texts need a model's tokenizer; give --model too");
  }
  if (!flags.lengths.empty() && !settings.dataset.empty()) {
    return InvalidArgument("--lengths: they are of random tokens; leave --dataset away");
  }
  for (const int64_t length : flags.lengths) {
    if (length >= 1) continue;
    return InvalidArgument(fmt::format("--lengths: expected numbers from 1, found {}", length));
  }
  if (flags.repeats >= 1) return OkStatus();
  return InvalidArgument(
      fmt::format("--repeat: expected a number from 1, found {}", flags.repeats));
}

// Sequences of random tokens.
UnitJob RandomJob(const std::vector<int64_t>& lengths, int64_t vocabulary_size) {
  std::vector<SampleOrRejection> samples;
  Random random(2);
  for (const int64_t length : lengths) {
    Sample sample;
    for (int64_t t = 0; t < length; ++t) {
      sample.token_ids.push_back(
          static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocabulary_size))));
    }
    sample.sequence_offsets = {0, length};
    samples.emplace_back(std::move(sample));
  }
  const auto count = static_cast<int64_t>(samples.size());
  return MakeUnitJob(std::move(samples), 0, 1, {0, count});
}

Result<UnitJob> JobOfDataset(const ExtractOptions& options, const std::string& model_folder,
                             const ModelOutline& model) {
  ASSIGN_OR_RETURN(const SampleSet samples, OpenSamples(options, model_folder, model));
  const int64_t wanted =
      options.settings.max_samples > 0 ? options.settings.max_samples : kDefaultSamples;
  ASSIGN_OR_RETURN(UnitJob job,
                   TokeniseUnit(samples, 0, 1, {0, std::min(wanted, samples.sample_count())}));
  if (job.token_count() > 0) return job;
  return InvalidArgument(options.settings.dataset + ": none of the samples can be used");
}

// Seconds of thread time by what a reader wants to know.
struct TimeShares {
  double linear = 0;
  double attention = 0;
  double elementwise = 0;
  double capture = 0;
  double wait = 0;  // for rows to be written
  double idle = 0;  // for other threads, and between batches
};

TimeShares SharesOf(const BenchmarkReport& report) {
  const BenchmarkPass& pass = report.best();
  const auto threads = static_cast<double>(report.threads);
  const auto part = [&](WorkKind kind) { return pass.work_seconds[static_cast<size_t>(kind)]; };
  const double all = pass.seconds * threads;
  TimeShares shares;
  shares.linear = part(WorkKind::kLinear) / all;
  shares.attention = part(WorkKind::kAttention) / all;
  shares.elementwise = (part(WorkKind::kEmbed) + part(WorkKind::kNorm) + part(WorkKind::kRope) +
                        part(WorkKind::kGate) + part(WorkKind::kAdd)) /
                       all;
  shares.capture = part(WorkKind::kCapture) / all;
  shares.wait = pass.wait_seconds * threads / all;
  shares.idle = std::max(0.0, 1 - shares.linear - shares.attention - shares.elementwise -
                                  shares.capture - shares.wait);
  return shares;
}

Json ReportJson(const BenchmarkReport& report, const std::string& model) {
  const TimeShares shares = SharesOf(report);
  Json seconds = Json::array();
  for (const BenchmarkPass& pass : report.passes) seconds.push_back(pass.seconds);
  Json json = {
      {"model", model},
      {"engine", report.engine.name},
      {"compute", report.engine.compute},
      {"device", report.engine.device},
      {"threads", report.threads},
      {"sequences", report.sequences},
      {"tokens", report.tokens},
      {"batches", report.batches},
      {"stored_bytes", report.stored_bytes},
      {"load_seconds", report.load_seconds},
      {"pass_seconds", std::move(seconds)},
      {"tokens_per_second", report.tokens_per_second()},
      {"gflops_per_second", report.flops_per_second() / 1e9},
      {"gemm_peak_gflops_per_second", report.gemm_peaks.fastest / 1e9},
      {"fraction_of_gemm_peak", report.fraction_of_peak()},
      {"onednn_gemm_peak_gflops_per_second", report.gemm_peaks.onednn / 1e9},
      {"fraction_of_onednn_gemm_peak", report.fraction_of_onednn_peak()},
      {"time_shares",
       {{"linear", shares.linear},
        {"attention", shares.attention},
        {"elementwise", shares.elementwise},
        {"capture", shares.capture},
        {"wait", shares.wait},
        {"idle", shares.idle}}},
      {"bytes_per_second", static_cast<double>(report.stored_bytes) / report.best().seconds}};
  json["disk_bytes_per_second"] =
      report.disk_bytes_per_second > 0 ? Json(report.disk_bytes_per_second) : Json();
  json["packed_weight_bytes"] = report.packed_bytes;
  json["peak_memory_bytes"] = report.peak_memory_bytes;
  return json;
}

std::string Percent(double part) { return fmt::format("{:.1f} %", 100 * part); }

std::string ReportText(const BenchmarkReport& report, const std::string& model) {
  const TimeShares shares = SharesOf(report);
  const double bytes_per_second = static_cast<double>(report.stored_bytes) / report.best().seconds;
  std::string text;
  const auto line = [&](const char* head, const std::string& content) {
    text += fmt::format("{:<10} {}\n", head, content);
  };
  line("model", model);
  line("engine", fmt::format("{}, {}, {}; loaded in {:.2f} s", report.engine.name,
                             report.engine.compute, report.engine.device, report.load_seconds));
  line("work",
       fmt::format("{} tokens in {} sequence{}, {} batch{}; {} of rows", FormatCount(report.tokens),
                   FormatCount(report.sequences), report.sequences == 1 ? "" : "s", report.batches,
                   report.batches == 1 ? "" : "es",
                   FormatBytes(static_cast<double>(report.stored_bytes))));
  line("speed",
       fmt::format("{:.1f} tokens/s, {:.0f} GFLOP/s, {}/s of rows (best of {}: {:.3f} s)",
                   report.tokens_per_second(), report.flops_per_second() / 1e9,
                   FormatBytes(bytes_per_second), report.passes.size(), report.best().seconds));
  std::string peak = fmt::format("{:.0f} GFLOP/s on the same shapes; fraction reached {:.3f}",
                                 report.gemm_peaks.fastest / 1e9, report.fraction_of_peak());
  if (report.gemm_peaks.fastest > report.gemm_peaks.onednn) {
    peak += fmt::format(" (by oneDNN alone {:.0f}; {:.3f})", report.gemm_peaks.onednn / 1e9,
                        report.fraction_of_onednn_peak());
  }
  line("GEMM peak", peak);
  if (report.disk_bytes_per_second > 0) {
    line("disk peak", fmt::format("{}/s writing the same rows alone; fraction reached {:.3f}",
                                  FormatBytes(report.disk_bytes_per_second),
                                  bytes_per_second / report.disk_bytes_per_second));
  }
  line("time",
       fmt::format("linear {}, attention {}, elementwise {}, capture {}, waiting for writes "
                   "{}, idle {}",
                   Percent(shares.linear), Percent(shares.attention), Percent(shares.elementwise),
                   Percent(shares.capture), Percent(shares.wait), Percent(shares.idle)));
  line("memory", fmt::format("peak {}; of it packed weights {}",
                             FormatBytes(static_cast<double>(report.peak_memory_bytes)),
                             FormatBytes(static_cast<double>(report.packed_bytes))));
  return text;
}

// The model that is measured: one of random weights, or a folder's.
struct BenchModel {
  std::optional<RandomModel> random = std::nullopt;
  std::optional<Model> folder = std::nullopt;
  std::string description = {};

  const ModelOutline& outline() const { return random ? random->outline() : *folder; }
  WeightLookup weights() const {
    if (random) return random->weights();
    return [this](const Parameter& parameter) {
      return folder->weights.Find(parameter.name, parameter.shape);
    };
  }
};

Result<BenchModel> OpenModel(const BenchFlags& flags, const ExtractSettings& settings,
                             const std::string& model_folder) {
  BenchModel model;
  if (!settings.model.empty()) {
    ASSIGN_OR_RETURN(model.folder, LoadModel(model_folder));
    model.description = settings.model;
    return model;
  }
  const std::string shape = flags.shape.empty() ? kDefaultShape : flags.shape;
  ASSIGN_OR_RETURN(model.random, RandomModel::Make(shape));
  model.description = shape + ", random weights";
  return model;
}

Result<int> Measure(const BenchFlags& flags, const ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  std::string model_folder;
  if (!settings.model.empty()) {
    ASSIGN_OR_RETURN(model_folder, LocalModel(options));
  }
  ASSIGN_OR_RETURN(const BenchModel model, OpenModel(flags, settings, model_folder));
  const ModelOutline& outline = model.outline();
  ASSIGN_OR_RETURN(
      std::vector<HookPoint> hooks,
      SelectHooks(settings.hooks, settings.layers, static_cast<int32_t>(outline.layer_count)));
  UnitJob job;
  if (settings.dataset.empty()) {
    job = RandomJob(flags.lengths.empty() ? std::vector{kDefaultLength} : flags.lengths,
                    outline.vocabulary_size);
  } else {
    ASSIGN_OR_RETURN(job, JobOfDataset(options, model_folder, outline));
  }
  job.batches = PackBatches(job.sequence_offsets, settings.batch_tokens);
  const auto progress = [&](const std::string& what) {
    if (!settings.quiet) std::fprintf(stderr, "thresher: %s\n", what.c_str());
  };
  const BenchmarkInputs inputs{.graph = outline.graph,
                               .weights = model.weights(),
                               .hooks = std::move(hooks),
                               .job = std::move(job)};
  if (settings.engine != "cpu") {
    RETURN_IF_ERROR(BenchDevices(inputs, model.description, options, flags.repeats, progress));
    return static_cast<int>(kExitComplete);
  }
  ASSIGN_OR_RETURN(const BenchmarkReport report,
                   RunEngineBenchmark(inputs,
                                      {.engine = {.compute = ComputeOf(options.compute),
                                                  .threads = settings.threads,
                                                  .max_batch_tokens = settings.batch_tokens,
                                                  .stored_dtype = options.dtype},
                                       .repeats = flags.repeats,
                                       .write_folder = flags.write},
                                      progress));
  const std::string text = settings.json ? ReportJson(report, model.description).dump() + "\n"
                                         : ReportText(report, model.description);
  std::fputs(text.c_str(), stdout);
  return static_cast<int>(kExitComplete);
}

Result<int> Bench(const BenchFlags& flags, const ExtractOptions& options) {
  const Status usage = CheckFlags(flags, options.settings);
  if (!usage.ok()) return ReportUsageError(usage);
  return Measure(flags, options);
}

}  // namespace

void AddBenchCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("bench", "Measure the engine beside this machine's own peak");
  command->footer(kExamples);
  auto flags = std::make_shared<BenchFlags>();
  command->add_option("--shape", flags->shape,
                      fmt::format("A model with random weights: {} [{}]",
                                  fmt::join(RandomModel::Shapes(), ", "), kDefaultShape));
  command
      ->add_option("--lengths", flags->lengths,
                   "Sequences of random tokens, such as 512,512 [2048]")
      ->delimiter(',');
  command->add_option("--repeat", flags->repeats, "Passes; the best one counts [3]");
  command->add_option("--write", flags->write,
                      "Write the rows to a file in this folder, removed afterwards [not written]");
  OnExtractSettings(*command, exit_status, {.model = false, .dataset = false, .output = false},
                    [flags](const ExtractOptions& options) { return Bench(*flags, options); });
}

}  // namespace thresher
