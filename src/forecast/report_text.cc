#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "base/byte_size.h"
#include "forecast/report.h"

namespace thresher {
namespace {

constexpr double kPerGigabyte = 1e-9;

int64_t Rounded(double value) { return std::llround(value); }

// "1,234,567 +- 1,200"
std::string Count(const Estimate& estimate) {
  std::string text = FormatCount(Rounded(estimate.value));
  if (estimate.error > 0) text += fmt::format(" +- {}", FormatCount(Rounded(estimate.error)));
  return text;
}

std::string Flops(double flops) {
  constexpr const char* kUnits[] = {"", "K", "M", "G", "T", "P", "E", "Z"};
  size_t unit = 0;
  for (; flops >= 1000 && unit + 1 < std::size(kUnits); ++unit) flops /= 1000;
  return fmt::format("{:.3g} {}FLOP", flops, kUnits[unit]);
}

std::string Hours(double hours) {
  const double seconds = hours * 3600;
  if (seconds < 1) return "below 1s";
  if (hours < 1000) return FormatDuration(Rounded(seconds) * 1000);
  return fmt::format("{} days", FormatCount(Rounded(hours / 24)));
}

std::string Money(double amount) {
  return amount < 100 ? fmt::format("{:.2f}", amount) : FormatCount(Rounded(amount));
}

class TextReport {
 public:
  TextReport(const ReportContext& context, const ForecastInputs& inputs, const Forecast& forecast)
      : context_(context), inputs_(inputs), survey_(inputs.survey), forecast_(forecast) {}

  std::string Make() {
    Heads();
    Samples();
    Lengths();
    Problems();
    Storage();
    Time();
    Prices();
    Suggestions();
    return std::move(text_);
  }

 private:
  // "samples     TEXT"; without a head, the line belongs to the one above.
  void Line(std::string_view head, std::string_view text) {
    text_ += fmt::format("{:<11} {}\n", head, text);
  }

  void Heads() {
    const SampleSettings& settings = context_.settings;
    if (context_.dataset.empty()) {
      Line("data set",
           fmt::format("none: {} samples are assumed", FormatCount(survey_.sample_count)));
    } else {
      Line("data set",
           fmt::format("{}: {} records{}", context_.dataset, FormatCount(context_.record_count),
                       settings.variants == 1 ? ""
                                              : fmt::format(" x {} variants ({})",
                                                            settings.variants, settings.augment)));
    }
    Line("model", fmt::format("{}: {}, {} layers, hidden size {}", context_.model,
                              inputs_.model.architecture, inputs_.model.layer_count,
                              FormatCount(inputs_.model.hidden_size)));
    Line("settings",
         fmt::format("sequences of at most {} tokens, longer ones: {}; tokens stored: {}{}",
                     FormatCount(settings.max_tokens), settings.overlong, settings.tokens,
                     settings.exclude_tokens == "none"
                         ? ""
                         : fmt::format(" without {}", settings.exclude_tokens)));
    text_ += '\n';
  }

  std::string Source() const {
    if (context_.dataset.empty()) return "assumed";
    if (survey_.IsExact()) return "all were read";
    return fmt::format(
        "{} were read, evenly spread; sums estimated by strata of record length, +- is the 95 % "
        "interval; --exact reads all",
        FormatCount(survey_.examined_count));
  }

  void Samples() {
    Line("samples", fmt::format("{} ({})", FormatCount(survey_.sample_count), Source()));
    std::string tokens = Count(survey_.tokens);
    if (survey_.rows.value != survey_.tokens.value) {
      tokens += fmt::format("; stored: {}", Count(survey_.rows));
    }
    Line("tokens", tokens);
    if (survey_.sequences.value >
        static_cast<double>(survey_.sample_count) - survey_.rejected.value + 0.5) {
      Line("sequences", Count(survey_.sequences));
    }
  }

  void Lengths() {
    const LengthSummary& lengths = survey_.lengths;
    if (lengths.bars.empty()) return;
    if (lengths.least == lengths.most) {
      Line("lengths", fmt::format("{} tokens each", FormatCount(lengths.least)));
      return;
    }
    Line(
        "lengths",
        fmt::format("min {}, median {}, 90 % {}, 99 % {}, max {}{}", FormatCount(lengths.least),
                    FormatCount(lengths.median), FormatCount(lengths.p90), FormatCount(lengths.p99),
                    FormatCount(lengths.most), survey_.IsExact() ? "" : " of those read"));
    double most = 0;
    double all = 0;
    for (const LengthSummary::Bar& bar : lengths.bars) {
      most = std::max(most, bar.samples);
      all += bar.samples;
    }
    constexpr double kBarWidth = 40;
    for (const LengthSummary::Bar& bar : lengths.bars) {
      const auto width = static_cast<size_t>(std::ceil(kBarWidth * bar.samples / most));
      Line("",
           fmt::format("{:>9} - {:<9} {:<40} {:5.1f} %", FormatCount(bar.least),
                       FormatCount(bar.most), std::string(width, '#'), 100 * bar.samples / all));
    }
  }

  void Problems() {
    if (survey_.truncated.value > 0) {
      Line("cut",
           fmt::format("{} samples: what is behind token {} is not stored; --overlong split stores "
                       "all of it, a larger --max-tokens more",
                       Count(survey_.truncated), FormatCount(context_.settings.max_tokens)));
    }
    if (survey_.split.value > 0) Line("split", Count(survey_.split) + " samples");
    if (!context_.dataset.empty()) {
      std::string rejected = Count(survey_.rejected);
      if (!survey_.IsExact() && survey_.rejected.value == 0) {
        // The rule of three: an upper bound at 95 % when nothing was seen.
        rejected = fmt::format("none of those read (95 %: fewer than {})",
                               FormatCount(Rounded(3.0 * static_cast<double>(survey_.sample_count) /
                                                   static_cast<double>(survey_.examined_count))));
      }
      Line("rejected", rejected);
    }
    for (const Survey::Example& example : survey_.rejections) {
      Line("", fmt::format("sample {}: {}", FormatCount(example.sample), example.text));
    }
    if (survey_.duplicate_keys && *survey_.duplicate_keys > 0) {
      Line("duplicates", fmt::format("{} records have the id of an earlier one",
                                     FormatCount(*survey_.duplicate_keys)));
      for (const Survey::Example& example : survey_.duplicates) {
        Line("", fmt::format("sample {}: {}", FormatCount(example.sample), example.text));
      }
    }
    text_ += '\n';
  }

  // Hook points of one kind and width in one line.
  void Storage() {
    const Forecast& f = forecast_;
    Line("storage", fmt::format("{}{} as {} in {} units of about {}", FormatBytes(f.bytes),
                                f.bytes_error > 0 ? " +- " + FormatBytes(f.bytes_error) : "",
                                DTypeName(inputs_.format.dtype), FormatCount(f.unit_count),
                                FormatBytes(f.bytes / static_cast<double>(f.unit_count))));
    struct Group {
      std::string kind;
      int64_t width;
      int64_t count = 0;
      double bytes_per_row = 0;
      double bytes = 0;
    };
    std::vector<Group> groups;
    for (const HookVolume& hook : f.hooks) {
      const size_t dot = hook.name.starts_with("blocks.") ? hook.name.find('.', 7) + 1 : 0;
      const std::string kind = hook.name.substr(dot);
      auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
        return g.kind == kind && g.width == hook.width;
      });
      if (group == groups.end()) {
        groups.push_back({.kind = kind, .width = hook.width});
        group = groups.end() - 1;
      }
      ++group->count;
      group->bytes_per_row += static_cast<double>(hook.bytes_per_row);
      group->bytes += hook.bytes;
    }
    for (const Group& group : groups) {
      Line("",
           fmt::format("{:<24} {:>4} x {:<6} {:>9} a token  {:>9}", group.kind, group.count,
                       group.width, FormatBytes(group.bytes_per_row), FormatBytes(group.bytes)));
    }
    Line("", fmt::format("all hook points, ids and positions    {:>9} a token",
                         FormatBytes(f.bytes_per_token)));
    Line("compute",
         fmt::format("{}: linear {}, attention {}; up to {}", Flops(f.flops.all()),
                     Flops(f.flops.linear), Flops(f.flops.attention), f.flops.deepest_hook));
    text_ += '\n';
  }

  void Time() {
    const std::string workers =
        fmt::format("{} worker{}", FormatCount(inputs_.workers), inputs_.workers == 1 ? "" : "s");
    if (inputs_.trial) {
      Line("this CPU", fmt::format("{} with {} like this machine ({}: {:.0f} tokens/s, {}/s in a "
                                   "trial of {:.1f} s)",
                                   Hours(*forecast_.trial_hours), workers, inputs_.trial->engine,
                                   inputs_.trial->tokens_per_second,
                                   Flops(inputs_.trial->flops_per_second), inputs_.trial->seconds));
    } else {
      Line("this CPU", "not tried: " + context_.no_trial);
    }
    if (inputs_.workers > forecast_.unit_count) {
      Line("", fmt::format("{} workers are more than there are units; the rest would idle",
                           FormatCount(inputs_.workers)));
    }
    if (forecast_.machines.empty()) return;
    Line("machines",
         fmt::format(
             "{}; estimates: the chip's roofline (a CPU's peak) x assumed efficiency, or the "
             "upload if that is slower",
             workers));
    Line("", fmt::format("{:<14} {:>8} {:>5} {:>6} {:>14} {:<8} {:>11} {:>11}  {}", "", "TFLOP/s",
                         "eff.", "chips", "time", "bound by", inputs_.prices.currency, "pre-empt.",
                         "as of"));
    for (const MachineForecast& machine : forecast_.machines) {
      const bool is_compute = machine.compute_hours >= machine.upload_hours;
      const std::string chips = !machine.machine.chip   ? "-"
                                : machine.chips_a_batch ? fmt::to_string(*machine.chips_a_batch)
                                                        : "> 8";
      Line("", fmt::format("{:<14} {:>8.0f} {:>5.2f} {:>6} {:>14} {:<8} {:>11} {:>11}  {}",
                           machine.machine.name, machine.machine.peak_tflops,
                           machine.machine.efficiency, chips, Hours(machine.hours()),
                           is_compute ? machine.bound : "upload", Money(machine.on_demand_cost),
                           machine.spot_cost ? Money(*machine.spot_cost) : "-",
                           machine.machine.origin.as_of));
    }
    Line("", "chips: that must share each batch, so that they hold the model");
  }

  void Prices() {
    const double gigabytes = forecast_.bytes * kPerGigabyte;
    std::string_view head = "storing";
    for (const StoragePrice& price : forecast_.storage) {
      Line(head, fmt::format("{} {} a month: {} ({} a GB, {})",
                             Money(gigabytes * price.per_gb_month), inputs_.prices.currency,
                             price.name, price.per_gb_month, price.origin.as_of));
      head = "";
    }
    head = "reading";
    for (const EgressPrice& price : forecast_.egress) {
      Line(head,
           fmt::format("{} {} each time: {} ({} a GB, {})", Money(gigabytes * price.per_gb),
                       inputs_.prices.currency, price.name, price.per_gb, price.origin.as_of));
      head = "";
    }
    Line("prices", fmt::format("from {}: list prices of their dates; check them before money is "
                               "spent",
                               inputs_.prices.path));
    text_ += '\n';
  }

  void Suggestions() {
    std::string_view head = "smaller";
    for (const Suggestion& suggestion : forecast_.suggestions) {
      std::string flags = suggestion.flags;
      constexpr size_t kLongest = 60;
      if (flags.size() > kLongest && suggestion.what != "together") {
        flags = flags.substr(0, flags.find(',', kLongest - 10)) + ",...";
      }
      Line(head,
           fmt::format("{:>9}  {}: {}", suggestion.bytes ? FormatBytes(*suggestion.bytes) : "?",
                       suggestion.what, flags));
      head = "";
    }
  }

  const ReportContext& context_;
  const ForecastInputs& inputs_;
  const Survey& survey_;
  const Forecast& forecast_;
  std::string text_;
};

}  // namespace

std::string ForecastText(const ReportContext& context, const ForecastInputs& inputs,
                         const Forecast& forecast) {
  return TextReport(context, inputs, forecast).Make();
}

}  // namespace thresher
