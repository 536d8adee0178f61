#ifndef THRESHER_CLI_LOG_OUTPUT_H_
#define THRESHER_CLI_LOG_OUTPUT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/logger.h"
#include "base/result.h"
#include "cli/stderr_lines.h"

namespace thresher {

enum class LogFormat : uint8_t {
  kPlain,  // for people: "worker 3: what happened"
  kText,   // key=value
  kJson,   // one object a line
};

struct LogOptions {
  LogFormat format = LogFormat::kPlain;
  LogLevel least = LogLevel::kNotice;
  // With --json, plain lines are objects on the standard output, beside those of the progress.
  bool plain_to_stdout = false;
};

// `format`: plain, text or json. `level`: the name of a level, or empty: warning if quiet, else
// notice in the plain format, which is read beside a progress bar, and info in the others.
Result<LogOptions> CheckLogSettings(const std::string& format, const std::string& level, bool quiet,
                                    bool json);

// `clock` and `lines` are borrowed.
Logger MakeLogger(const LogOptions& options, Clock& clock, StderrLines& lines, int64_t worker_id);

// For lines that are told before there is a worker: "thresher: LINE", or an event.
std::function<void(const std::string& line)> LinesToPeople(const LogOptions& options);

}  // namespace thresher

#endif  // THRESHER_CLI_LOG_OUTPUT_H_
