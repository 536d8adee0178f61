#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/byte_size.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/reporter.h"
#include "cli/run_folder.h"
#include "cli/store_command.h"
#include "extract/progress.h"
#include "extract/run_store.h"
#include "verify/verify_run.h"
#include "work/keys.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher verify runs/first
  thresher verify runs/first --recompute 0 --quiet
  thresher verify gs://bucket/run7 --dataset tasks.jsonl --model Qwen2.5-0.5B --recompute 0.1

Checks run.json, the plan and every commit; every byte of every shard against its checksums; that
each sample is stored exactly once, or rejected, or part of a unit that was set aside; that rows
belong to the samples that they claim (needs model and data set); and computes a random part again
(needs the model). Every finding is printed, with unit and tensor.

Exit status: 0 nothing wrong, 1 damage, an incomplete run, or an error, 2 wrong usage.)";

struct VerifySettings {
  std::string url;
  std::string dataset;
  std::string model;
  double recompute = 0.02;
  int threads = 0;
  bool quiet = false;
  bool json = false;
};

void PrintJson(const Json& line) {
  std::printf("%s\n", line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

// Findings and progress as they come. Not thread-safe.
class VerifyDisplay {
 public:
  VerifyDisplay(Clock& clock, Reporter::Mode mode, Store& store)
      : clock_(clock), mode_(mode), store_(store), next_ms_(clock.MonotonicMs() + kFirstMs) {}

  void Show(const Finding& finding);
  void Show(const VerifyProgress& progress);
  // The missing units, which Show only collects for people. Call once all findings were shown.
  void ShowMissing();
  void ClearBar() {
    if (bar_is_shown_) std::fputs("\r\033[K", stderr);
    bar_is_shown_ = false;
  }
  // Ascending.
  std::vector<int64_t> DamagedUnits() const {
    std::vector<int64_t> units;
    for (const auto& [unit, shard] : damaged_shards_) units.push_back(unit);
    return units;
  }

 private:
  // What is over in a moment needs no progress.
  static constexpr int64_t kFirstMs = 2'000;
  static constexpr int64_t kBarMs = 200;
  static constexpr int64_t kLineMs = 5'000;

  std::string ShardOf(const Finding& finding);
  std::string Text(const VerifyProgress& progress) const;
  std::string Amount(const VerifyProgress& progress, double amount) const;

  Clock& clock_;
  const Reporter::Mode mode_;
  Store& store_;
  std::vector<int64_t> missing_units_;
  std::map<int64_t, std::string> damaged_shards_;  // by unit; empty: unknown
  int64_t next_ms_;
  VerifyProgress::Phase phase_ = VerifyProgress::Phase::kRecords;
  RateMeter rate_{20'000};
  bool bar_is_shown_ = false;
};

std::string_view PhaseName(VerifyProgress::Phase phase) {
  switch (phase) {
    case VerifyProgress::Phase::kRecords:
      return "records";
    case VerifyProgress::Phase::kShards:
      return "shards";
    case VerifyProgress::Phase::kWeights:
      return "weights";
    case VerifyProgress::Phase::kRecompute:
      return "computing again";
  }
  return "";
}

std::string VerifyDisplay::Amount(const VerifyProgress& progress, double amount) const {
  switch (progress.phase) {
    case VerifyProgress::Phase::kShards:
      return FormatBytes(amount);
    case VerifyProgress::Phase::kRecompute:
      return fmt::format("{:.0f} tokens", amount);
    default:
      return fmt::format("{:.0f}", amount);
  }
}

std::string VerifyDisplay::Text(const VerifyProgress& progress) const {
  if (progress.phase == VerifyProgress::Phase::kWeights) return "reading the model's weights";
  const double rate = rate_.PerSecond();
  const auto left = static_cast<double>(std::max<int64_t>(0, progress.total - progress.done));
  return fmt::format("{}: {} of {}, {}/s, ETA {}", PhaseName(progress.phase),
                     Amount(progress, static_cast<double>(progress.done)),
                     Amount(progress, static_cast<double>(progress.total)), Amount(progress, rate),
                     rate > 0 ? FormatDuration(static_cast<int64_t>(1000 * left / rate)) : "?");
}

void VerifyDisplay::Show(const VerifyProgress& progress) {
  const int64_t now_ms = clock_.MonotonicMs();
  if (progress.phase != phase_) rate_ = RateMeter(20'000);
  phase_ = progress.phase;
  if (mode_ == Reporter::Mode::kQuiet || now_ms < next_ms_) {
    // Points that are never shown need not be kept.
    if (progress.done == 0) rate_.Add(now_ms, 0);
    return;
  }
  rate_.Add(now_ms, progress.done);
  next_ms_ = now_ms + (mode_ == Reporter::Mode::kBar ? kBarMs : kLineMs);
  if (mode_ == Reporter::Mode::kJson) {
    return PrintJson({{"event", "progress"},
                      {"phase", PhaseName(progress.phase)},
                      {"done", progress.done},
                      {"total", progress.total},
                      {"per_second", rate_.PerSecond()}});
  }
  if (mode_ == Reporter::Mode::kLines) {
    std::fprintf(stderr, "%s\n", Text(progress).c_str());
    return;
  }
  constexpr int64_t kWidth = 30;
  const int64_t filled =
      progress.total > 0
          ? std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(kWidth) *
                                                     static_cast<double>(progress.done) /
                                                     static_cast<double>(progress.total)),
                                0, kWidth)
          : 0;
  std::fprintf(stderr, "\r\033[K[%s%s]  %s", std::string(static_cast<size_t>(filled), '#').c_str(),
               std::string(static_cast<size_t>(kWidth - filled), '.').c_str(),
               Text(progress).c_str());
  std::fflush(stderr);
  bar_is_shown_ = true;
}

// The file in which the damage is, if it is that of a unit; empty if the finding names another one.
std::string VerifyDisplay::ShardOf(const Finding& finding) {
  if (finding.severity != Severity::kDamage || !finding.unit) return "";
  const auto [entry, is_new] = damaged_shards_.try_emplace(*finding.unit);
  if (is_new) {
    const Result<Commit> commit = ReadCommit(store_, *finding.unit);
    if (commit.ok()) entry->second = commit->shard;
  }
  const bool is_named = finding.what.find(UnitName(*finding.unit)) != std::string::npos;
  return is_named ? "" : entry->second;
}

void VerifyDisplay::Show(const Finding& finding) {
  const std::string shard = ShardOf(finding);
  if (mode_ == Reporter::Mode::kJson) {
    Json line = {{"event", "finding"}, {"severity", SeverityName(finding.severity)}};
    line["unit"] = finding.unit ? Json(*finding.unit) : Json();
    line["tensor"] = finding.tensor;
    if (!shard.empty()) line["shard"] = shard;
    line["what"] = finding.what;
    return PrintJson(line);
  }
  if (mode_ == Reporter::Mode::kQuiet && finding.severity == Severity::kNote) return;
  if (finding.severity == Severity::kIncomplete && finding.unit) {
    missing_units_.push_back(*finding.unit);
    return;
  }
  ClearBar();
  std::printf("%s%s\n", FindingLine(finding).c_str(),
              shard.empty() ? "" : (" (" + shard + ")").c_str());
  std::fflush(stdout);
}

void VerifyDisplay::ShowMissing() {
  if (missing_units_.empty()) return;
  std::printf("incomplete: neither committed nor set aside: unit%s %s\n",
              missing_units_.size() == 1 ? "" : "s", RangesText(missing_units_).c_str());
}

std::string Verdict(const VerifyReport& report) {
  if (report.damage_count > 0 && report.incomplete_count > 0) {
    return fmt::format("damaged ({} findings) and incomplete ({} units are missing)",
                       report.damage_count, report.incomplete_count);
  }
  if (report.damage_count > 0) return fmt::format("damaged ({} findings)", report.damage_count);
  if (report.incomplete_count > 0) {
    return fmt::format("incomplete ({} units are missing), what is there is whole",
                       report.incomplete_count);
  }
  if (report.quarantined_count > 0 || report.rejected_samples > 0) {
    return "complete with exceptions, what is there is whole";
  }
  return "nothing wrong";
}

std::string RecomputedText(const RecomputeResult& recomputed) {
  if (recomputed.sequences == 0) return "nothing computed again";
  std::string text = fmt::format("{} sequences ({} tokens) computed again, ",
                                 FormatCount(recomputed.sequences), FormatCount(recomputed.tokens));
  text += fmt::format("{} of {} tensors equal bit by bit", FormatCount(recomputed.identical),
                      FormatCount(recomputed.comparisons));
  if (recomputed.identical == recomputed.comparisons) return text;
  return text + fmt::format(", worst relative error {:.2g} ({:.0f} % of what is allowed; {})",
                            recomputed.worst_relative, 100 * recomputed.worst_of_limit,
                            recomputed.worst_where);
}

void PrintSummary(const VerifyReport& report) {
  std::printf(
      "%s: %s of %s units committed, %s set aside; %s of %s samples stored, %s rejected; %s "
      "tokens, %s; rows %s the data set; %s\n",
      Verdict(report).c_str(), FormatCount(report.committed_count).c_str(),
      FormatCount(report.unit_count).c_str(), FormatCount(report.quarantined_count).c_str(),
      FormatCount(report.stored_samples).c_str(), FormatCount(report.sample_count).c_str(),
      FormatCount(report.rejected_samples).c_str(), FormatCount(report.tokens).c_str(),
      FormatBytes(static_cast<double>(report.bytes_read)).c_str(),
      report.rows_were_identified ? "compared with" : "not compared with",
      RecomputedText(report.recomputed).c_str());
}

Json SummaryJson(const VerifyReport& report) {
  return {{"event", "summary"},
          {"ok", report.ok()},
          {"damage", report.damage_count},
          {"incomplete", report.incomplete_count},
          {"warnings", report.warning_count},
          {"unit_count", report.unit_count},
          {"units_committed", report.committed_count},
          {"units_quarantined", report.quarantined_count},
          {"sample_count", report.sample_count},
          {"samples_stored", report.stored_samples},
          {"samples_rejected", report.rejected_samples},
          {"tokens", report.tokens},
          {"bytes", report.bytes_read},
          {"rows_compared_with_dataset", report.rows_were_identified},
          {"sequences_recomputed", report.recomputed.sequences},
          {"tokens_recomputed", report.recomputed.tokens},
          {"tensors_recomputed", report.recomputed.comparisons},
          {"tensors_identical", report.recomputed.identical},
          {"worst_relative_error", report.recomputed.worst_relative},
          {"worst_error_of_limit", report.recomputed.worst_of_limit},
          {"worst_error_where", report.recomputed.worst_where}};
}

// How to have damaged units made anew. Empty if there are none.
std::string Remedy(const std::vector<int64_t>& units, const std::string& store_arguments) {
  if (units.empty()) return "";
  constexpr size_t kShown = 100;
  std::string list;
  for (size_t i = 0; i < std::min(kShown, units.size()); ++i) {
    list += (i == 0 ? "" : ",") + std::to_string(units[i]);
  }
  const std::string rest = units.size() > kShown
                               ? fmt::format(" (and so on: {} units in all)", units.size())
                               : std::string();
  return fmt::format(
      "to have what is damaged made anew: thresher clean {} --reopen {}{}, and start thresher "
      "extract again\n",
      store_arguments, list, rest);
}

Result<int> Verify(const VerifySettings& settings, const StoreOptions& store_options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenRunFolder(settings.url, store_options));
  VerifyDisplay display(Clock::Real(),
                        settings.json    ? Reporter::Mode::kJson
                        : settings.quiet ? Reporter::Mode::kQuiet
                                         : Reporter::DefaultMode(),
                        *store);
  VerifyOptions options;
  options.recompute_fraction = settings.recompute;
  options.dataset_path = settings.dataset;
  options.model_directory = settings.model;
  options.threads = settings.threads;
  options.on_finding = [&](const Finding& finding) { display.Show(finding); };
  options.on_progress = [&](const VerifyProgress& progress) { display.Show(progress); };
  const Result<VerifyReport> report = VerifyRun(*store, options);
  display.ClearBar();
  if (!report.ok()) return report.status();
  if (settings.json) {
    Json summary = SummaryJson(*report);
    summary["damaged_units"] = display.DamagedUnits();
    PrintJson(summary);
  } else {
    display.ShowMissing();
    PrintSummary(*report);
    const std::string arguments = StoreArguments(store->url(), store_options);
    std::fputs(Remedy(display.DamagedUnits(), arguments).c_str(), stdout);
  }
  return report->ok() ? kExitComplete : kExitError;
}

}  // namespace

void AddVerifyCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("verify", "Check a run: checksums, samples, rows, a part computed again");
  auto settings = std::make_shared<VerifySettings>();
  command->add_option("url", settings->url, "Folder of the run")->required()->check(StoreAddress());
  command
      ->add_option("--recompute", settings->recompute,
                   "Fraction of the sequences to compute again, at least one; 0: none [0.02]")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--dataset", settings->dataset, "Where the data set is now");
  command->add_option("--model", settings->model, "Where the model is now");
  command->add_option("--threads", settings->threads, "0: all cores [0]")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--quiet", settings->quiet, "Only damage, warnings and the summary");
  command->add_flag("--json", settings->json, "JSON lines on the standard output");
  FinishStoreCommand(*command, kExamples, exit_status, [settings](const StoreOptions& options) {
    return Verify(*settings, options);
  });
}

}  // namespace thresher
