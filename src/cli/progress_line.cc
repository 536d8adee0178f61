#include "cli/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/byte_size.h"

namespace thresher {

ProgressLine::ProgressLine(Clock& clock, Options options)
    : clock_(clock),
      options_(std::move(options)),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_ms_(clock.MonotonicMs()),
      next_ms_(start_ms_ + (terminal_ ? 500 : 5'000)) {}

void ProgressLine::Update(int64_t done, int64_t bytes) {
  const int64_t now_ms = clock_.MonotonicMs();
  if (options_.quiet || now_ms < next_ms_ || done == 0) return;
  next_ms_ = now_ms + (terminal_ ? 200 : 5'000);
  const double seconds = static_cast<double>(std::max<int64_t>(1, now_ms - start_ms_)) / 1000;
  const double rate = static_cast<double>(done) / seconds;
  const std::string line = fmt::format(
      "{}/{} {} {} ({:.0f} %), {:.0f} {}/s, {}/s, ETA {}", FormatCount(done),
      FormatCount(options_.total), options_.noun, options_.verb,
      100.0 * static_cast<double>(done) / static_cast<double>(options_.total), rate, options_.noun,
      FormatBytes(static_cast<double>(bytes) / seconds),
      FormatDuration(
          static_cast<int64_t>(1000 * static_cast<double>(options_.total - done) / rate)));
  std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", line.c_str());
  std::fflush(stderr);
  is_shown_ = terminal_;
}

void ProgressLine::Clear() {
  if (is_shown_) std::fputs("\r\033[K", stderr);
  is_shown_ = false;
}

}  // namespace thresher
