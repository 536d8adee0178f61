#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "base/nearest_name.h"
#include "cli/command.h"
#include "cli/version.h"

namespace thresher {

int ReportError(const Status& status) {
  std::fprintf(stderr, "thresher: %s\n", status.message().c_str());
  return kExitError;
}

int ReportUsageError(const Status& status) {
  ReportError(status);
  return kExitUsage;
}

namespace {

std::vector<std::string> FlagsOf(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

// Names each flag that does not exist, with the nearest that does, and the command nearest to one
// that does not. False if there was nothing to name.
bool NameUnknownArguments(const CLI::App& app, const std::vector<std::string>& arguments) {
  bool was_printed = false;
  const auto print = [&](const std::string& name, const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), name) != known.end()) return;
    const std::string hint = DidYouMean(name, known);
    if (hint.empty() && !name.starts_with("--")) return;
    std::fprintf(stderr, "thresher: there is no %s%s\n", name.c_str(),
                 hint.empty() ? "; --help lists what there is" : hint.c_str());
    was_printed = true;
  };
  const CLI::App* command = &app;
  for (const std::string& argument : arguments) {
    if (argument.starts_with("--")) {
      print(argument.substr(0, argument.find('=')), FlagsOf(*command));
      continue;
    }
    const std::vector<const CLI::App*> commands = command->get_subcommands({});
    if (argument.starts_with('-') || commands.empty()) continue;
    std::vector<std::string> names;
    names.reserve(commands.size());
    for (const CLI::App* candidate : commands) names.push_back(candidate->get_name());
    print(argument, names);
    const auto chosen = std::find(names.begin(), names.end(), argument);
    if (chosen == names.end()) break;
    command = commands[static_cast<size_t>(chosen - names.begin())];
  }
  return was_printed;
}

constexpr const char* kExamples = R"(In this order, for a start:
  thresher plan    --model path/to/Qwen2.5-0.5B --dataset tasks.jsonl
  thresher extract --model path/to/Qwen2.5-0.5B --dataset tasks.jsonl --output runs/first
  thresher status  runs/first
  thresher verify  runs/first

Every command has --help with examples; docs/guides/quick-start.md walks through a run.)";

int Main(int argc, char** argv) {
  CLI::App app(
      "Runs a language model forward-only over a data set on any number of workers and "
      "stores the activations of its hook points.");
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(1);
  app.footer(kExamples);
  app.get_formatter()->column_width(28);
  int exit_status = kExitComplete;
  // A file-size limit is then an error of the write, which says what happened.
  std::signal(SIGXFSZ, SIG_IGN);
  AddPlanCommand(app, exit_status);
  AddExtractCommand(app, exit_status);
  AddStatusCommand(app, exit_status);
  AddDashboardCommand(app, exit_status);
  AddVerifyCommand(app, exit_status);
  AddInspectCommand(app, exit_status);
  AddDoctorCommand(app, exit_status);
  AddMergeCommand(app, exit_status);
  AddCleanCommand(app, exit_status);
  AddConvertCommand(app, exit_status);
  AddStreamsCommand(app, exit_status);
  AddPromptsCommand(app, exit_status);
  AddBenchCommand(app, exit_status);
  AddLaunchCommand(app, exit_status);
  AddConfigCommand(app, exit_status);
  AddCompileCommand(app, exit_status);
  AddPluginsCommand(app, exit_status);
  AddDevicesCommand(app, exit_status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = error.get_exit_code();
    const bool is_help = code == 0;
    if (!is_help && NameUnknownArguments(app, {argv + 1, argv + argc})) return kExitUsage;
    app.exit(error);
    const bool has_stray_words = code == static_cast<int>(CLI::ExitCodes::ExtrasError);
    if (has_stray_words) std::fputs("Lists have commas and no spaces: a,b\n", stderr);
    return is_help ? kExitComplete : kExitUsage;
  }
  return exit_status;
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) { return thresher::Main(argc, argv); }
