#ifndef THRESHER_CLI_COMMAND_H_
#define THRESHER_CLI_COMMAND_H_

#include <CLI/CLI.hpp>

#include "base/result.h"

namespace thresher {

// Exit statuses of every command (docs/operating.md).
enum ExitStatus : int {
  kExitComplete = 0,
  kExitError = 1,
  kExitUsage = 2,
  kExitExceptions = 3,  // complete, but samples or units were set aside
  kExitStuck = 4,       // thresher status --fail-if-stuck: no unit was finished for that long
  kExitStopped = 75,    // stopped early; the same command resumes
};

// Each command adds itself to `app` and, when it was chosen, leaves its exit status in
// `exit_status`. One file per command.
void AddPlanCommand(CLI::App& app, int& exit_status);
void AddExtractCommand(CLI::App& app, int& exit_status);
void AddStatusCommand(CLI::App& app, int& exit_status);
void AddDashboardCommand(CLI::App& app, int& exit_status);
void AddVerifyCommand(CLI::App& app, int& exit_status);
void AddInspectCommand(CLI::App& app, int& exit_status);
void AddDoctorCommand(CLI::App& app, int& exit_status);
void AddCleanCommand(CLI::App& app, int& exit_status);
void AddConvertCommand(CLI::App& app, int& exit_status);
void AddStreamsCommand(CLI::App& app, int& exit_status);
void AddPromptsCommand(CLI::App& app, int& exit_status);
void AddBenchCommand(CLI::App& app, int& exit_status);
void AddConfigCommand(CLI::App& app, int& exit_status);
void AddCompileCommand(CLI::App& app, int& exit_status);
void AddPluginsCommand(CLI::App& app, int& exit_status);
void AddDevicesCommand(CLI::App& app, int& exit_status);

// Prints "thresher: MESSAGE" on the standard error stream; the exit status for the code.
int ReportError(const Status& status);

// The same for a setting that cannot be used: kExitUsage.
int ReportUsageError(const Status& status);

}  // namespace thresher

#endif  // THRESHER_CLI_COMMAND_H_
