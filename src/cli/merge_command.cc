#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_size.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/progress_line.h"
#include "cli/run_folder.h"
#include "cli/store_command.h"
#include "merge/merge_runs.h"

namespace thresher {
namespace {

constexpr const char* kExamples = R"(Examples:
  thresher merge runs/part-0 runs/part-1 --output runs/whole
  thresher merge gs://bucket/monday gs://bucket/tuesday gs://bucket/friday --output gs://bucket/week

The runs agree in model, prompts, hook points and storage, are complete, and have no sample in
common. Their samples follow one another in the order given. Nothing in them is changed; the new run
is one like any other. A merge that was interrupted goes on when it is started again.

Exit status: 0 merged, 1 error, 2 wrong usage, 3 merged, and the runs had samples or units set aside.)";

struct MergeSettings {
  std::vector<std::string> urls;
  std::string output;
  int64_t connections = 4;
  bool allow_duplicates = false;
  bool quiet = false;
  bool json = false;
};

// One line of progress a phase.
class PhaseLines {
 public:
  explicit PhaseLines(bool quiet) : quiet_(quiet) {}

  void Update(const std::string& phase, int64_t done, int64_t total) {
    if (phase != phase_) {
      line_.emplace(
          Clock::Real(),
          ProgressLine::Options{.verb = phase, .noun = "shards", .total = total, .quiet = quiet_});
      phase_ = phase;
    }
    line_->Update(done, 0);
  }
  void Clear() { line_.reset(); }

 private:
  const bool quiet_;
  std::string phase_;
  std::optional<ProgressLine> line_;
};

void Print(const Store& output, const MergeReport& report) {
  std::printf("%s\n", fmt::format("{}: {} samples in {} units, {} of them copied now", output.url(),
                                  FormatCount(report.sample_count), FormatCount(report.unit_count),
                                  FormatCount(report.copied_count))
                          .c_str());
  if (!report.completion.HasExceptions()) return;
  std::printf("%s\n", fmt::format("complete with exceptions: {} samples were rejected and {} units "
                                  "set aside in the runs; summary.json says why",
                                  FormatCount(report.completion.rejected_count),
                                  FormatCount(report.completion.quarantined_count))
                          .c_str());
}

Result<int> Merge(const MergeSettings& settings, const StoreOptions& store_options) {
  std::vector<std::unique_ptr<Store>> stores;
  std::vector<MergeSource> sources;
  for (const std::string& url : settings.urls) {
    ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenRunFolder(url, store_options));
    sources.push_back({store->url(), store.get()});
    stores.push_back(std::move(store));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> output,
                   OpenStoreForPeople(settings.output, store_options));
  PhaseLines lines(settings.quiet || settings.json);
  const Result<MergeReport> report =
      MergeRuns(sources, *output, Clock::Real(),
                {.connections = settings.connections,
                 .allow_duplicates = settings.allow_duplicates,
                 .on_progress = [&](const char* phase, int64_t done, int64_t total) {
                   lines.Update(phase, done, total);
                 }});
  lines.Clear();
  if (!report.ok()) return report.status();
  if (settings.json) {
    const nlohmann::ordered_json json = {
        {"url", output->url()},
        {"run", report->run_fingerprint},
        {"sample_count", report->sample_count},
        {"unit_count", report->unit_count},
        {"units_copied", report->copied_count},
        {"samples_rejected", report->completion.rejected_count},
        {"units_quarantined", report->completion.quarantined_count}};
    std::printf("%s\n", json.dump(1).c_str());
  } else if (!settings.quiet) {
    Print(*output, *report);
  }
  return static_cast<int>(report->completion.HasExceptions() ? kExitExceptions : kExitComplete);
}

Status CheckMergeSettings(const MergeSettings& settings) {
  if (settings.urls.size() < 2) {
    return InvalidArgument("give the folders of at least two runs, and --output");
  }
  if (settings.connections < 1 || settings.connections > 1000) {
    return InvalidArgument(fmt::format("--connections: expected a number from 1 to 1000, found {}",
                                       settings.connections));
  }
  return OkStatus();
}

}  // namespace

void AddMergeCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("merge", "Make one run of several over disjoint data");
  auto settings = std::make_shared<MergeSettings>();
  command->add_option("urls", settings->urls, "Folders of the runs")
      ->required()
      ->check(StoreAddress());
  command->add_option("--output", settings->output, "Folder of the run that they become")
      ->required()
      ->check(StoreAddress());
  command->add_option("--connections", settings->connections,
                      "Shards on their way at the same time, each in memory [4]");
  command->add_flag("--allow-duplicates", settings->allow_duplicates,
                    "Samples that two of the runs have in common are stored twice");
  command->add_flag("--quiet", settings->quiet, "Print problems only");
  command->add_flag("--json", settings->json, "One JSON object on the standard output");
  FinishStoreCommand(*command, kExamples, exit_status,
                     [settings](const StoreOptions& store_options) -> Result<int> {
                       const Status checked = CheckMergeSettings(*settings);
                       if (!checked.ok()) return ReportUsageError(checked);
                       return Merge(*settings, store_options);
                     });
}

}  // namespace thresher
