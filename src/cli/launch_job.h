#ifndef THRESHER_CLI_LAUNCH_JOB_H_
#define THRESHER_CLI_LAUNCH_JOB_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/extract_flags.h"
#include "launch/job.h"

namespace thresher {

// What every engine of `thresher launch` is told, beside the settings of `thresher extract`.
struct LaunchSettings {
  int64_t workers = 0;
  std::string name;
  bool dry_run = false;
  bool skip_path_check = false;
};

// Where the workers find files.
enum class FilesSeenByWorkers {
  kAsHere,     // this machine's own, or a file system that the nodes share
  kElsewhere,  // those of a container image or another machine
};

// Registers --workers, --name, --dry-run, and for kAsHere --skip-path-check. `settings` must
// outlive `command`.
void AddLaunchFlags(CLI::App& command, LaunchSettings& settings, FilesSeenByWorkers files);

// Checks everything that can be known before a worker starts, and gives the job: every setting
// that is not at its default, wherever it came from, as a flag. With kAsHere the model and the data
// set must be there, unless they are addresses; with kElsewhere the run must be stored at an
// address, or below one of `mounts`. kInvalidArgument, naming the flag; kNotFound and other codes
// for a model that cannot be read.
Result<LaunchJob> MakeLaunchJob(ExtractFlags& flags, const LaunchSettings& settings,
                                FilesSeenByWorkers files,
                                const std::vector<std::string>& mounts = {});

}  // namespace thresher

#endif  // THRESHER_CLI_LAUNCH_JOB_H_
