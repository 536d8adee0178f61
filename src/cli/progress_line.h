#ifndef THRESHER_CLI_PROGRESS_LINE_H_
#define THRESHER_CLI_PROGRESS_LINE_H_

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace thresher {

// How far a command has come through a known number of things, on the standard error stream: a line
// that is written over on a terminal, a line every few seconds elsewhere; nothing for work that is
// short. Not thread-safe.
class ProgressLine {
 public:
  struct Options {
    std::string verb;  // "converted"
    std::string noun;  // "rows"
    int64_t total = 0;
    bool quiet = false;
  };

  ProgressLine(Clock& clock, Options options);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { Clear(); }

  // Call often; it decides itself what to print and when. `bytes` is what has been read.
  void Update(int64_t done, int64_t bytes);

  // Takes the line off the terminal, so that something else can be printed.
  void Clear();

  int64_t elapsed_ms() const { return clock_.MonotonicMs() - start_ms_; }

 private:
  Clock& clock_;
  const Options options_;
  const bool terminal_;
  const int64_t start_ms_;
  int64_t next_ms_;
  bool is_shown_ = false;
};

}  // namespace thresher

#endif  // THRESHER_CLI_PROGRESS_LINE_H_
