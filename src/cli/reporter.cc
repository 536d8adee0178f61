#include "cli/reporter.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/byte_size.h"

namespace thresher {
namespace {

int64_t TerminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 100;
  return size.ws_col;
}

}  // namespace

Reporter::Mode Reporter::DefaultMode() { return isatty(STDERR_FILENO) ? Mode::kBar : Mode::kLines; }

Reporter::Reporter(Clock& clock, const Progress& progress, StderrLines& lines, const Logger& log,
                   Options options)
    : clock_(clock), progress_(progress), lines_(lines), log_(log), options_(options) {
  // Before anything is computed there is nothing to tell.
  constexpr int64_t kFirstLineMs = 2'000;
  const int64_t now_ms = clock_.MonotonicMs();
  if (options_.mode == Mode::kLines) next_line_ms_ = now_ms + kFirstLineMs;
  tokens_.Add(now_ms, 0);
  rows_.Add(now_ms, 0);
}

int64_t Reporter::Measure() {
  const int64_t now_ms = clock_.MonotonicMs();
  tokens_.Add(now_ms, progress_.tokens_computed);
  rows_.Add(now_ms, progress_.rows_computed);
  units_.Add(now_ms, progress_.run_units_finished);
  return now_ms;
}

void Reporter::Update() {
  std::lock_guard lock(mutex_);
  const int64_t now_ms = Measure();
  if (options_.mode == Mode::kQuiet) return;
  if (options_.mode == Mode::kBar) return PrintBar();
  if (now_ms < next_line_ms_) return;
  next_line_ms_ = now_ms + options_.line_interval_ms;
  if (options_.mode == Mode::kJson) return PrintJson();
  if (options_.mode == Mode::kLog) return LogProgress();
  PrintLine();
}

std::string Reporter::Eta() const {
  const double rate = units_.PerSecond();
  const int64_t remaining = options_.unit_count - progress_.run_units_finished;
  if (remaining == 0) return "0s";
  if (rate <= 0) return "?";
  return FormatDuration(static_cast<int64_t>(1000.0 * static_cast<double>(remaining) / rate));
}

std::string Reporter::BytesPerSecond() const {
  return FormatBytes(rows_.PerSecond() * static_cast<double>(options_.bytes_per_token));
}

void Reporter::PrintBar() {
  const std::string text =
      fmt::format("  {}/{} units  {} tokens/s  {}/s  ETA {}", progress_.run_units_finished.load(),
                  options_.unit_count, FormatRate(tokens_.PerSecond()), BytesPerSecond(), Eta());
  const int64_t room = TerminalWidth() - static_cast<int64_t>(text.size()) - 3;
  std::string bar;
  if (room >= 10) {
    const int64_t width = std::min<int64_t>(room, 40);
    const int64_t filled = width * progress_.run_units_finished / options_.unit_count;
    bar = "[" + std::string(static_cast<size_t>(filled), '#') +
          std::string(static_cast<size_t>(width - filled), '.') + "]";
  }
  lines_.ShowBar(bar + text);
}

void Reporter::PrintLine() {
  lines_.Print(
      fmt::format("worker {}: {}/{} units of the run done, {} by this worker; {} tokens, "
                  "{} tokens/s, {}/s, ETA {}",
                  options_.worker_id, progress_.run_units_finished.load(), options_.unit_count,
                  progress_.units_committed.load(), FormatCount(progress_.tokens_computed),
                  FormatRate(tokens_.PerSecond()), BytesPerSecond(), Eta()));
}

void Reporter::LogProgress() {
  log_.Notice("progress", {{"units_done", progress_.run_units_finished},
                           {"unit_count", options_.unit_count},
                           {"units_committed", progress_.units_committed},
                           {"samples_committed", progress_.samples_committed},
                           {"tokens_computed", progress_.tokens_computed},
                           {"bytes_committed", progress_.bytes_committed},
                           {"tokens_per_second", static_cast<int64_t>(tokens_.PerSecond())}});
}

void Reporter::PrintJson() {
  const nlohmann::ordered_json line = {
      {"event", "progress"},
      {"worker", options_.worker_id},
      {"units_done", progress_.run_units_finished.load()},
      {"unit_count", options_.unit_count},
      {"units_committed", progress_.units_committed.load()},
      {"samples_committed", progress_.samples_committed.load()},
      {"samples_truncated", progress_.samples_truncated.load()},
      {"tokens_computed", progress_.tokens_computed.load()},
      {"rows_computed", progress_.rows_computed.load()},
      {"tokens_committed", progress_.tokens_committed.load()},
      {"bytes_committed", progress_.bytes_committed.load()},
      {"tokens_per_second", tokens_.PerSecond()},
      {"engine_busy_ms", progress_.engine_busy_us / 1000},
      {"engine_wait_ms", progress_.engine_wait_us() / 1000},
      {"upload_wait_ms", progress_.engine_wait_for_arena_us / 1000}};
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

void Reporter::Finish() {
  std::lock_guard lock(mutex_);
  Measure();
  if (options_.mode == Mode::kJson) PrintJson();
  if (options_.mode == Mode::kLog) LogProgress();
  if (options_.mode == Mode::kLines) PrintLine();
  if (options_.mode == Mode::kBar) lines_.ClearBar();
}

}  // namespace thresher
