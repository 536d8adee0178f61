#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "benchmark/random_model.h"
#include "cli/command.h"
#include "cli/data_access.h"
#include "cli/extract_flags.h"
#include "compile/compilation.h"
#include "compile/target.h"
#include "engine/pjrt/batch_sizes.h"
#include "graph/hook_point.h"
#include "model/model.h"
#include "plugins/plugin_library.h"
#include "sample/token_selection.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher compile --target tpu:v5e:2x2 --model Qwen2.5-7B
  thresher compile --target tpu:v5e:2x2 --shape qwen2.5-7b --chips 4 --batch-tokens 8192
  thresher compile --target tpu:v4:2x2x1 --target tpu:v5p:2x2x1 --target tpu:v6e:2x2 --shape qwen2.5-7b

Compiles the program that thresher extract would run, for chips that need not be here, and prints what
the compiler counts beside what the chip's maker publishes. Weights are not read: config.json suffices.
Needs the plug-in: thresher plugins install tpu.)";

constexpr double kDefaultEfficiency = 0.5;
// Batches of fewer tokens leave a matrix unit idle.
constexpr int64_t kFewestTokens = 128;

// What this command takes beside the settings.
struct CompileFlags {
  std::vector<std::string> targets;
  std::string shape;
  int64_t chips = 1;
  int64_t sequence_tokens = 0;  // 0: one sequence fills the batch
  double efficiency = kDefaultEfficiency;
  std::string plugin;
};

Status CheckFlags(const CompileFlags& flags, const ExtractSettings& settings) {
  if (flags.targets.empty()) {
    return InvalidArgument("--target is missing: give one, such as tpu:v5e:2x2");
  }
  if (flags.shape.empty() == settings.model.empty()) {
    return InvalidArgument("--model or --shape: give one of them");
  }
  if (flags.chips < 1) {
    return InvalidArgument(fmt::format("--chips: expected a number from 1, found {}", flags.chips));
  }
  if (flags.sequence_tokens < 0) {
    return InvalidArgument(fmt::format("--sequence-tokens: expected a number from 1, found {}",
                                       flags.sequence_tokens));
  }
  if (!(flags.efficiency > 0 && flags.efficiency <= 1)) {
    return InvalidArgument(
        fmt::format("--efficiency: expected a part of 1, found {}", flags.efficiency));
  }
  return OkStatus();
}

// Rows of each hook point that a batch stores. Where the texts decide, it could be all.
int64_t StoredRows(const TokenSelection& selection, int64_t tokens, int64_t sequence_tokens) {
  if (selection.IsByText()) return tokens;
  const auto rows_of = [&](int64_t length) -> int64_t {
    if (selection.kind == TokenSelection::Kind::kLast) return 1;
    return static_cast<int64_t>(std::ceil(LikelyShare(selection) * static_cast<double>(length)));
  };
  int64_t rows = 0;
  for (int64_t first = 0; first < tokens; first += sequence_tokens) {
    rows += rows_of(std::min(sequence_tokens, tokens - first));
  }
  return rows;
}

// A target with what came of it: a program of that size, or of the largest of half as many tokens,
// a quarter, ... that fits.
struct Outcome {
  Compilation compilation = {};
  std::vector<int64_t> too_large = {};  // sizes that were tried and do not fit
};

Result<Outcome> CompileOne(const CompileTarget& target, const std::string& plugin_path,
                           CompilationInputs inputs, const CompileFlags& flags,
                           const TokenSelection& selection) {
  Outcome outcome;
  while (true) {
    const int64_t tokens = inputs.program.tokens;
    inputs.sequence_tokens = flags.sequence_tokens > 0 ? flags.sequence_tokens : tokens;
    const int64_t capacity =
        RowCapacityFor(StoredRows(selection, tokens, inputs.sequence_tokens), tokens);
    inputs.program.picked_rows = capacity < tokens ? std::optional(capacity) : std::nullopt;
    Result<Compilation> compilation = CompileFor(target, plugin_path, inputs);
    const bool fits = compilation.ok() && compilation->fits();
    const bool is_too_large = compilation.status().code() == Code::kResourceExhausted;
    if (!compilation.ok() && !is_too_large) return compilation.status();
    if (fits) {
      outcome.compilation = *std::move(compilation);
      return outcome;
    }
    outcome.too_large.push_back(inputs.program.tokens);
    if (inputs.program.tokens / 2 >= kFewestTokens) {
      inputs.program.tokens /= 2;
      continue;
    }
    return ResourceExhausted(fmt::format(
        "{}: not even batches of {} tokens fit the {} of a chip with {} chips a batch; give more "
        "with --chips{}",
        target.topology, inputs.program.tokens, FormatBytes(target.chip.memory_bytes), flags.chips,
        compilation.ok() ? "" : " (" + compilation.status().message() + ")"));
  }
}

Json OutcomeJson(const Outcome& outcome, const std::string& compiler, double efficiency) {
  const Compilation& c = outcome.compilation;
  const Chip& chip = c.target.chip;
  return {{"target", c.target.plugin + ":" + c.target.topology},
          {"chip",
           {{"name", chip.name},
            {"peak_flops_per_second", chip.peak_flops},
            {"memory_bytes", chip.memory_bytes},
            {"memory_bytes_per_second", chip.memory_bytes_per_second},
            {"link_bytes_per_second", chip.link_bytes_per_second},
            {"source", chip.source},
            {"as_of", chip.as_of}}},
          {"compiler", compiler},
          {"chips", c.chip_count},
          {"chips_a_batch", c.chips_a_batch},
          {"batch_tokens", c.tokens},
          {"batch_tokens_too_large", outcome.too_large},
          {"layer_loop_iterations", c.layer_loop_iterations},
          {"compile_seconds", c.compile_seconds},
          {"chip_flops", c.work.flops},
          {"chip_memory_bytes", c.work.memory_bytes},
          {"chip_on_chip_attention_bytes", c.on_chip_bytes},
          {"chip_link_bytes", c.work.link_bytes},
          {"useful_flops", c.useful_flops},
          {"counted_over_useful_flops", c.flops_ratio()},
          {"memory",
           {{"arguments_bytes", c.memory.arguments_bytes},
            {"outputs_bytes", c.memory.outputs_bytes},
            {"temporaries_bytes", c.memory.temporaries_bytes},
            {"code_bytes", c.memory.code_bytes},
            {"two_batches_in_flight_bytes", c.memory_bytes()}}},
          {"roofline",
           {{"compute_seconds", c.roofline.compute_seconds},
            {"memory_seconds", c.roofline.memory_seconds},
            {"link_seconds", c.roofline.link_seconds},
            {"seconds", c.roofline.seconds()},
            {"bound", c.roofline.bound()},
            {"compute_margin", c.roofline.compute_margin()},
            {"compute_margin_with_on_chip_bytes", c.margin_with_on_chip_bytes()}}},
          {"result_rows", c.result_rows},
          {"results_bytes", c.results_bytes},
          {"chip_tokens_per_second_at_roofline", c.tokens_per_second(1)},
          {"efficiency", efficiency},
          {"chip_tokens_per_second", c.tokens_per_second(efficiency)},
          {"chip_to_host_bytes_per_second", c.host_bytes_per_second(efficiency)}};
}

std::string Milliseconds(double seconds) { return fmt::format("{:.1f} ms", 1000 * seconds); }

std::string OutcomeText(const Outcome& outcome, const std::string& compiler, double efficiency) {
  const Compilation& c = outcome.compilation;
  const Chip& chip = c.target.chip;
  std::string text;
  const auto line = [&](const char* head, const std::string& content) {
    text += fmt::format("{:<10} {}\n", head, content);
  };
  const auto tokens = [](double count) { return FormatCount(static_cast<int64_t>(count)); };
  line("target", fmt::format("{}:{}, {} chips, {} a batch", c.target.plugin, c.target.topology,
                             c.chip_count, c.chips_a_batch));
  line("chip", fmt::format("{}: {:.0f} TFLOP/s bf16, {} at {}/s ({}, {})", chip.description,
                           chip.peak_flops / 1e12, FormatBytes(chip.memory_bytes),
                           FormatBytes(chip.memory_bytes_per_second), chip.source, chip.as_of));
  line("compiled",
       fmt::format("in {:.1f} s by {}: {} layers as a loop, {} tokens a batch", c.compile_seconds,
                   compiler, c.layer_loop_iterations, FormatCount(c.tokens)));
  for (const int64_t size : outcome.too_large) {
    line("", fmt::format("batches of {} tokens do not fit", FormatCount(size)));
  }
  line("FLOPs", fmt::format("{:.2f} T a batch counted, {:.2f} T useful: {:.3f}x",
                            c.work.flops * static_cast<double>(c.chips_a_batch) / 1e12,
                            c.useful_flops / 1e12, c.flops_ratio()));
  line("bytes", fmt::format("{} a batch and chip counted, beside {} of attention's blocks, made to "
                            "stay on the chip; {} over its links",
                            FormatBytes(c.work.memory_bytes), FormatBytes(c.on_chip_bytes),
                            FormatBytes(c.work.link_bytes)));
  line(
      "memory",
      fmt::format("{} a chip: arguments {}, outputs {} (twice: two batches in flight), temporaries "
                  "{}, code {}",
                  FormatBytes(c.memory_bytes()),
                  FormatBytes(static_cast<double>(c.memory.arguments_bytes)),
                  FormatBytes(static_cast<double>(c.memory.outputs_bytes)),
                  FormatBytes(static_cast<double>(c.memory.temporaries_bytes)),
                  FormatBytes(static_cast<double>(c.memory.code_bytes))));
  line("roofline",
       fmt::format(
           "compute {}, memory {}, links {}: bound by {}; computing takes {:.2f}x the others, "
           "{:.2f}x if attention's blocks left the chip",
           Milliseconds(c.roofline.compute_seconds), Milliseconds(c.roofline.memory_seconds),
           Milliseconds(c.roofline.link_seconds), c.roofline.bound(), c.roofline.compute_margin(),
           c.margin_with_on_chip_bytes()));
  line("speed", fmt::format("{} tokens/s a chip at the roofline, {} at an assumed efficiency of {}",
                            tokens(c.tokens_per_second(1)), tokens(c.tokens_per_second(efficiency)),
                            efficiency));
  line("to host", fmt::format("{} a batch, {} rows of each hook point: {}/s a chip at that speed",
                              FormatBytes(c.results_bytes), FormatCount(c.result_rows),
                              FormatBytes(c.host_bytes_per_second(efficiency))));
  return text;
}

Result<ModelOutline> OutlineOf(const CompileFlags& flags, const ExtractOptions& options) {
  if (!flags.shape.empty()) return RandomModel::OutlineOf(flags.shape);
  ASSIGN_OR_RETURN(const std::string folder, LocalModel(options));
  return ReadModelOutline(folder);
}

Result<int> CompileAll(const CompileFlags& flags, const ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  std::vector<CompileTarget> targets;
  for (const std::string& text : flags.targets) {
    ASSIGN_OR_RETURN(CompileTarget target, ParseCompileTarget(text));
    targets.push_back(std::move(target));
  }
  ASSIGN_OR_RETURN(const TokenSelection selection,
                   ParseTokenSelection(settings.samples.tokens, settings.samples.exclude_tokens));
  ASSIGN_OR_RETURN(const ModelOutline model, OutlineOf(flags, options));
  CompilationInputs inputs{.graph = model.graph};
  ASSIGN_OR_RETURN(inputs.hooks, SelectHooks(settings.hooks, settings.layers,
                                             static_cast<int32_t>(model.layer_count)));
  inputs.program.tokens = settings.batch_tokens;
  inputs.program.compute = settings.compute == "f32" ? DType::kF32 : DType::kBf16;
  inputs.program.stored = options.dtype;
  inputs.program.devices = flags.chips;
  PrepareToCompileWithoutDevices();
  Json json = Json::array();
  for (const CompileTarget& target : targets) {
    std::string plugin_path = flags.plugin;
    std::string compiler = flags.plugin;
    if (plugin_path.empty()) {
      ASSIGN_OR_RETURN(plugin_path, FindPlugin(target.plugin));
      ASSIGN_OR_RETURN(const PluginSpec spec, FindPluginSpec(target.plugin));
      compiler = spec.wheels.front().package + " " + spec.version();
    }
    ASSIGN_OR_RETURN(const Outcome outcome,
                     CompileOne(target, plugin_path, inputs, flags, selection));
    if (settings.json) {
      json.push_back(OutcomeJson(outcome, compiler, flags.efficiency));
    } else {
      fmt::print("{}{}", &target == targets.data() ? "" : "\n",
                 OutcomeText(outcome, compiler, flags.efficiency));
    }
  }
  if (settings.json) fmt::print("{}\n", json.dump());
  return static_cast<int>(kExitComplete);
}

Result<int> Compile(const CompileFlags& flags, const ExtractOptions& options) {
  const Status usage = CheckFlags(flags, options.settings);
  if (!usage.ok()) return ReportUsageError(usage);
  return CompileAll(flags, options);
}

}  // namespace

void AddCompileCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      "compile", "Compile for a chip that need not be here; print the compiler's cost analysis");
  command->footer(kExamples);
  auto flags = std::make_shared<CompileFlags>();
  command->add_option("--target", flags->targets,
                      "What to compile for: tpu:CHIP:TOPOLOGY, such as tpu:v5e:2x2; may be given "
                      "again");
  command->add_option("--shape", flags->shape,
                      fmt::format("A published shape instead of --model: {}",
                                  fmt::join(RandomModel::Shapes(), ", ")));
  command->add_option("--chips", flags->chips,
                      "Chips that share each batch, as --mesh model=N has it [1]");
  command->add_option("--sequence-tokens", flags->sequence_tokens,
                      "Tokens of each sequence of a batch, for the useful FLOPs [all]");
  command->add_option("--efficiency", flags->efficiency,
                      "Part of the roofline's speed that is expected [0.5]");
  command->add_option("--plugin", flags->plugin,
                      "Path of the plug-in [as installed by thresher plugins install]");
  OnExtractSettings(*command, exit_status, {.model = false, .dataset = false, .output = false},
                    [flags](const ExtractOptions& options) { return Compile(*flags, options); });
}

}  // namespace thresher
