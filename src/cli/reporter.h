#ifndef THRESHER_CLI_REPORTER_H_
#define THRESHER_CLI_REPORTER_H_

#include <cstdint>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/logger.h"
#include "cli/stderr_lines.h"
#include "extract/progress.h"

namespace thresher {

// Shows a worker's progress: a bar on a terminal, a line every few seconds elsewhere, an event in a
// log with fields, JSON lines on the standard output for machines, or nothing. Thread-safe.
class Reporter {
 public:
  enum class Mode { kBar, kLines, kLog, kJson, kQuiet };

  struct Options {
    Mode mode = Mode::kLines;
    int64_t worker_id = 0;
    int64_t unit_count = 0;
    int64_t bytes_per_token = 0;  // of a token that is stored
    int64_t line_interval_ms = 5'000;
  };

  // kBar where the standard error stream is a terminal, kLines elsewhere.
  static Mode DefaultMode();

  // All borrowed.
  Reporter(Clock& clock, const Progress& progress, StderrLines& lines, const Logger& log,
           Options options);

  // Call often; it decides itself what to print and when.
  void Update();

  // Says how it ended, or ends the bar's line.
  void Finish();

 private:
  int64_t Measure();  // the time
  void PrintBar();
  void PrintLine();
  void LogProgress();
  void PrintJson();
  std::string Eta() const;
  std::string BytesPerSecond() const;

  Clock& clock_;
  const Progress& progress_;
  StderrLines& lines_;
  const Logger& log_;
  const Options options_;
  std::mutex mutex_;
  RateMeter tokens_{20'000};
  RateMeter rows_{20'000};
  RateMeter units_{300'000};
  int64_t next_line_ms_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_CLI_REPORTER_H_
