#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

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

int Main(int argc, char** argv) {
  CLI::App app(
      "Runs a language model forward-only over a data set on any number of workers and "
      "stores the activations of its hook points.");
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(1);
  app.get_formatter()->column_width(28);
  int exit_status = kExitComplete;
  // A file-size limit is then an error of the write, which says what happened.
  std::signal(SIGXFSZ, SIG_IGN);
  AddPlanCommand(app, exit_status);
  AddExtractCommand(app, exit_status);
  AddStatusCommand(app, exit_status);
  AddVerifyCommand(app, exit_status);
  AddInspectCommand(app, exit_status);
  AddDoctorCommand(app, exit_status);
  AddCleanCommand(app, exit_status);
  AddConvertCommand(app, exit_status);
  AddStreamsCommand(app, exit_status);
  AddPromptsCommand(app, exit_status);
  AddConfigCommand(app, exit_status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitComplete : kExitUsage;
  }
  return exit_status;
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) { return thresher::Main(argc, argv); }
