#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/run_folder.h"
#include "cli/store_command.h"
#include "doctor/cleaning.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher clean gs://bucket/first
  thresher clean gs://bucket/first --delete
  thresher clean runs/first --delete --older-than 10m
  thresher clean runs/first --reopen 17,204      (then start thresher extract again)

Lists what dead workers have left behind; removes it with --delete: shards that no commit refers to
and that nobody can commit any more, handovers of committed units, heartbeats of sessions long gone
and, in a local folder, temporary files. Workers may be running. Nothing younger than --older-than is
touched, in the store's own time: make it longer than any pause that a worker of yours may survive.
--reopen removes the commits of damaged units instead, so that the next worker makes them anew.

Exit status: 0 done, 1 error, 2 wrong usage.)";

struct CleanSettings {
  std::string url;
  bool remove = false;
  std::string older_than = "1h";
  std::vector<std::string> reopen;
  bool json = false;
};

void Print(const CleanReport& report, bool removed) {
  for (const Leftover& leftover : report.leftovers) {
    std::printf("%-14s  %10s  %s: %s\n", std::string(LeftoverKindName(leftover.kind)).c_str(),
                FormatBytes(static_cast<double>(leftover.bytes)).c_str(), leftover.key.c_str(),
                leftover.why.c_str());
  }
  for (const Leftover& shard : report.kept) {
    std::printf("%-14s  %10s  %s: %s\n", "kept",
                FormatBytes(static_cast<double>(shard.bytes)).c_str(), shard.key.c_str(),
                shard.why.c_str());
  }
  for (const std::string& problem : report.problems) std::printf("%s\n", problem.c_str());
  std::printf("%s objects, %s%s\n",
              FormatCount(static_cast<int64_t>(report.leftovers.size())).c_str(),
              FormatBytes(static_cast<double>(report.bytes())).c_str(),
              removed                    ? " removed"
              : report.leftovers.empty() ? ": nothing to remove"
                                         : " can be removed; --delete removes them");
}

Json LeftoversJson(const std::vector<Leftover>& leftovers) {
  Json json = Json::array();
  for (const Leftover& leftover : leftovers) {
    json.push_back({{"kind", LeftoverKindName(leftover.kind)},
                    {"key", leftover.key},
                    {"bytes", leftover.bytes},
                    {"why", leftover.why}});
  }
  return json;
}

void PrintJson(const CleanReport& report, bool removed) {
  Json json = {{"removed", removed},
               {"count", report.leftovers.size()},
               {"bytes", report.bytes()},
               {"problems", report.problems}};
  json["leftovers"] = LeftoversJson(report.leftovers);
  json["kept"] = LeftoversJson(report.kept);
  std::printf("%s\n", json.dump(1, ' ', false, Json::error_handler_t::replace).c_str());
}

// What is to be done, checked.
struct CleanPlan {
  CleanOptions options;
  std::vector<int64_t> reopen;
};

Status Reopen(Store& store, const Run& run, const std::vector<int64_t>& units, bool as_json) {
  Json reopened = Json::array();
  for (const int64_t unit : units) {
    RETURN_IF_ERROR(ReopenUnit(store, run, unit));
    reopened.push_back(unit);
    if (!as_json) {
      std::printf("unit %lld is open again\n", static_cast<long long>(unit));
      std::fflush(stdout);
    }
  }
  if (as_json) std::printf("%s\n", Json{{"reopened", reopened}}.dump(1).c_str());
  return OkStatus();
}

Result<int> Clean(const CleanSettings& settings, const StoreOptions& store_options,
                  const CleanPlan& plan) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenRunFolder(settings.url, store_options));
  ASSIGN_OR_RETURN(const Run run, LoadRun(*store));
  if (!plan.reopen.empty()) {
    RETURN_IF_ERROR(Reopen(*store, run, plan.reopen, settings.json));
    return static_cast<int>(kExitComplete);
  }
  ASSIGN_OR_RETURN(const CleanReport report, CleanRun(*store, run, plan.options));
  if (settings.json) {
    PrintJson(report, plan.options.remove);
  } else {
    Print(report, plan.options.remove);
  }
  return static_cast<int>(report.problems.empty() ? kExitComplete : kExitError);
}

Result<int64_t> ParseUnit(const std::string& text) {
  int64_t unit = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), unit);
  if (error == std::errc() && end == text.data() + text.size() && unit >= 0) return unit;
  return InvalidArgument(fmt::format(
      "--reopen: expected the numbers of units, such as 17,204, as \"thresher verify\" and "
      "\"thresher status\" name them, found '{}'",
      text));
}

Result<CleanPlan> CheckCleanSettings(const CleanSettings& settings) {
  CleanPlan plan;
  plan.options.remove = settings.remove;
  const Result<int64_t> older_than_ms = ParseDurationMs(settings.older_than);
  if (!older_than_ms.ok()) return older_than_ms.status().WithContext("--older-than");
  plan.options.older_than_ms = *older_than_ms;
  for (const std::string& text : settings.reopen) {
    ASSIGN_OR_RETURN(const int64_t unit, ParseUnit(text));
    plan.reopen.push_back(unit);
  }
  if (settings.remove && !settings.reopen.empty()) {
    return InvalidArgument("--delete and --reopen: give one at a time");
  }
  return plan;
}

}  // namespace

void AddCleanCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("clean", "List or remove what dead workers left; open units again");
  auto settings = std::make_shared<CleanSettings>();
  command->add_option("url", settings->url, "Folder of the run")->required()->check(StoreAddress());
  command->add_flag("--delete", settings->remove, "Remove what is listed");
  command->add_option("--older-than", settings->older_than,
                      "Touch nothing that was written later than so long ago [1h]");
  command->add_option("--reopen", settings->reopen, "Units whose commits are to be removed: 17,204")
      ->delimiter(',');
  command->add_flag("--json", settings->json, "One JSON object on the standard output");
  FinishStoreCommand(*command, kExamples, exit_status,
                     [settings](const StoreOptions& store_options) -> Result<int> {
                       const Result<CleanPlan> plan = CheckCleanSettings(*settings);
                       if (!plan.ok()) return ReportUsageError(plan.status());
                       return Clean(*settings, store_options, *plan);
                     });
}

}  // namespace thresher
