#ifndef THRESHER_LAUNCH_JOB_H_
#define THRESHER_LAUNCH_JOB_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// Workers of one run, for whichever engine starts them.
struct LaunchJob {
  std::string name = {};  // of what is submitted; see CheckJobName
  int64_t workers = 1;
  // Of `thresher extract`, each one word, "--model=M"; with everything that the run needs, and
  // without --worker-id, which the engine gives.
  std::vector<std::string> flags = {};
  int64_t stop_grace_ms = 25'000;  // --stop-grace: how long a worker takes to hand its unit over
};

// What an engine's own client is given: `client` is run with `text` on its standard input. This is
// also what --dry-run prints.
struct Submission {
  std::string text = {};
  std::vector<std::string> client = {};
};

// A name that every engine takes: 1 to 40 small letters, digits and dashes, a letter first, no dash
// last. kInvalidArgument, naming --name.
Status CheckJobName(std::string_view name);

// "thresher-first" for a run in "gs://bucket/runs/first".
std::string JobNameOf(std::string_view output);

// kInvalidArgument, naming the flag, unless every flag can be handed to a worker on another machine
// through scripts and manifests: valid UTF-8, no control characters but newline and tab.
Status CheckFlags(const std::vector<std::string>& flags);

// kInvalidArgument, naming `flag`, unless `value` consists of ASCII letters, digits and
// "_.,:=/@%+-[]&|*" only. For what is handed on to an engine as it is: memory sizes, names of
// partitions, images and zones.
Status CheckPlainValue(std::string_view flag, std::string_view value);

// Seconds that an engine must leave a worker between the request to stop and the kill: the grace
// period, the worker's own five seconds on top of it, and some to start the handing over.
int64_t SecondsToStop(const LaunchJob& job);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_JOB_H_
