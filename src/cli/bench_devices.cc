#include "cli/bench_devices.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/byte_size.h"
#include "benchmark/device_benchmark.h"
#include "cli/command.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json ReportJson(const DeviceBenchmarkReport& report, const std::string& model) {
  const auto peak = [](double flops) { return flops / 1e9; };
  return {{"model", model},
          {"engine", report.engine.name},
          {"compute", report.engine.compute},
          {"device", report.engine.device},
          {"device_kind", report.device_kind},
          {"devices", report.device_count},
          {"platform", report.platform},
          {"plugin_version", report.plugin_version},
          {"sequences", report.sequences},
          {"tokens", report.tokens},
          {"batches", report.batches},
          {"stored_bytes", report.stored_bytes},
          {"load_seconds", report.load_seconds},
          {"pass_seconds", report.seconds},
          {"pass_seconds_without_rows", report.compute_seconds},
          {"tokens_per_second", report.tokens_per_second()},
          {"tokens_per_second_without_rows",
           static_cast<double>(report.tokens) / report.best_compute_seconds()},
          {"gflops_per_second", report.flops_per_second() / 1e9},
          {"published_peak_gflops_per_second",
           report.published_peak ? Json(peak(*report.published_peak)) : Json()},
          {"matmul_peak_gflops_per_second", peak(report.matmul_peak)},
          {"mfu", report.mfu()},
          {"cost_of_rows", report.cost_of_rows()},
          {"bytes_per_second", static_cast<double>(report.stored_bytes) / report.best_seconds()},
          {"device_memory_in_use_bytes", OrNull(report.memory_in_use)},
          {"device_memory_bytes", OrNull(report.memory_limit)}};
}

std::string PeakText(const DeviceBenchmarkReport& report) {
  const std::string measured =
      fmt::format("{:.0f} GFLOP/s measured with large products in the same arithmetic",
                  report.matmul_peak / 1e9);
  const double of_measured = report.flops_per_second() / report.matmul_peak;
  if (!report.published_peak) {
    return fmt::format("{}; fraction reached {:.3f}", measured, of_measured);
  }
  return fmt::format("{:.0f} GFLOP/s published for {}: MFU {:.3f}; {}: {:.3f}",
                     *report.published_peak / 1e9, report.published_chip, report.mfu(), measured,
                     of_measured);
}

std::string ReportText(const DeviceBenchmarkReport& report, const std::string& model) {
  std::string text;
  const auto line = [&](std::string_view head, const std::string& content) {
    text += fmt::format("{:<10} {}\n", head, content);
  };
  line("model", model);
  line("engine", fmt::format("{}, {}, {}; weights loaded and first program compiled in {:.1f} s",
                             report.engine.name, report.engine.compute, report.engine.device,
                             report.load_seconds));
  line("plug-in", fmt::format("{}: {}", report.platform, report.plugin_version));
  line("work", fmt::format("a pass: {} tokens in {} sequences, {} batches; {} of rows",
                           FormatCount(report.tokens), FormatCount(report.sequences),
                           FormatCount(report.batches),
                           FormatBytes(static_cast<double>(report.stored_bytes))));
  line("speed",
       fmt::format("{:.1f} tokens/s, {:.0f} GFLOP/s, {}/s of rows to host memory (best of {}: "
                   "{:.3f} s)",
                   report.tokens_per_second(), report.flops_per_second() / 1e9,
                   FormatBytes(static_cast<double>(report.stored_bytes) / report.best_seconds()),
                   report.seconds.size(), report.best_seconds()));
  line("peak", PeakText(report));
  line("rows", fmt::format("{:.3f} s with nothing brought to the host: bringing the rows costs "
                           "{:.1f} %",
                           report.best_compute_seconds(), 100 * report.cost_of_rows()));
  if (report.memory_in_use) {
    line("memory",
         fmt::format(
             "{} of the first device in use{}",
             FormatBytes(static_cast<double>(*report.memory_in_use)),
             report.memory_limit
                 ? fmt::format(" of {}", FormatBytes(static_cast<double>(*report.memory_limit)))
                 : ""));
  }
  return text;
}

}  // namespace

Status BenchDevices(const BenchmarkInputs& inputs, const std::string& model,
                    const ExtractOptions& options, int64_t repeats,
                    const std::function<void(const std::string&)>& progress) {
  const DType best = EngineHasBf16(options.settings.engine) ? DType::kBf16 : DType::kF32;
  DeviceBenchmarkOptions benchmark{
      .engine = EngineOptionsOf(options, options.compute.value_or(best)), .repeats = repeats};
  benchmark.engine.on_hang = [](const std::string& message) {
    std::fprintf(stderr, "thresher: the device hangs: %s (--device-timeout)\n", message.c_str());
    std::fflush(nullptr);
    _exit(kExitError);
  };
  ASSIGN_OR_RETURN(const DeviceBenchmarkReport report,
                   RunDeviceBenchmark(inputs, benchmark, progress));
  const std::string text =
      options.settings.json ? ReportJson(report, model).dump() + "\n" : ReportText(report, model);
  std::fputs(text.c_str(), stdout);
  return OkStatus();
}

}  // namespace thresher
