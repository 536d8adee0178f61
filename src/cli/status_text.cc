#include "cli/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/byte_size.h"
#include "base/json.h"
#include "cli/run_folder.h"

namespace thresher {
namespace {

constexpr size_t kShownWorkers = 20;
constexpr size_t kShownProblems = 5;

class StatusWriter {
 public:
  StatusWriter(const RunStatus& status, bool all) : status_(status), all_(all) {}

  std::string Write(std::span<const Alert> alerts, const std::optional<RunPrices>& prices);

 private:
  template <typename... Arguments>
  void Line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
    text_ += '\n';
  }
  void Field(const char* name, const std::string& value) { Line("{:<10} {}", name, value); }

  std::string State() const;
  std::string Units() const;
  std::string Samples() const;
  std::string Speed() const;
  std::string Leases() const;
  std::string Cost(const std::optional<RunPrices>& prices) const;
  void Workers();
  void Problems();
  size_t Shown(size_t usual, size_t count) const { return all_ ? count : std::min(usual, count); }
  // In front of numbers that are estimated.
  const char* About() const {
    return status_.totals_source == TotalsSource::kSample ? "about " : "";
  }

  const RunStatus& status_;
  const bool all_;
  std::string text_;
};

std::string StatusWriter::State() const {
  const int64_t end_ms = status_.ended_ms > 0 ? status_.ended_ms : status_.now_ms;
  const std::string age = FormatDuration(std::max<int64_t>(0, end_ms - status_.started_ms));
  return fmt::format("{}, {} {}", RunStateName(status_.state),
                     status_.IsFinished() ? "it took" : "begun", age) +
         (status_.IsFinished() ? "" : " ago");
}

std::string StatusWriter::Units() const {
  constexpr int64_t kWidth = 40;
  const int64_t finished = status_.finished_count();
  const int64_t filled = kWidth * finished / status_.unit_count;
  std::string text = fmt::format(
      "[{}{}] {} of {} ({} %)", std::string(static_cast<size_t>(filled), '#'),
      std::string(static_cast<size_t>(kWidth - filled), '.'), FormatCount(status_.committed_count),
      FormatCount(status_.unit_count), 100 * finished / status_.unit_count);
  const auto add = [&](UnitCondition state, const char* what) {
    const int64_t count = status_.unit_counts[static_cast<size_t>(state)];
    if (count > 0) text += fmt::format(", {} {}", FormatCount(count), what);
  };
  add(UnitCondition::kQuarantined, "set aside");
  add(UnitCondition::kHeld, "in work");
  add(UnitCondition::kWaiting, "waiting for another worker");
  return text;
}

std::string StatusWriter::Samples() const {
  std::string text = fmt::format("{}{} of {} stored", About(), FormatCount(status_.samples_stored),
                                 FormatCount(status_.sample_count));
  if (status_.samples_rejected > 0) {
    text += fmt::format(", {} rejected", FormatCount(status_.samples_rejected));
  }
  if (status_.samples_truncated > 0) {
    text += fmt::format(", {} truncated", FormatCount(status_.samples_truncated));
  }
  return text;
}

std::string StatusWriter::Speed() const {
  std::string text;
  if (!status_.IsFinished()) {
    text = fmt::format("{} tokens/s now, {}/s uploaded; ", FormatRate(status_.tokens_per_second),
                       FormatBytes(status_.bytes_per_second));
  }
  text += fmt::format("{} tokens/s, {}/s over the whole run",
                      FormatRate(status_.overall_tokens_per_second),
                      FormatBytes(status_.overall_bytes_per_second));
  return text;
}

std::string StatusWriter::Leases() const {
  std::string text;
  if (status_.are_leases_listed) {
    text = fmt::format("{} units claimed, {} more than once", FormatCount(status_.lease_count),
                       FormatCount(status_.taken_over_count));
    if (status_.taken_over_count > 0) {
      text += fmt::format(" (one of them {} times)", status_.largest_epoch);
    }
  } else {
    text =
        fmt::format("{} units taken over, as workers say", FormatCount(status_.taken_over_count));
  }
  text += fmt::format("; {} duplicates thrown away", FormatCount(status_.duplicates));
  if (status_.failed_attempts > 0) {
    text += fmt::format("; {} attempts failed", FormatCount(status_.failed_attempts));
  }
  return text;
}

std::string StatusWriter::Cost(const std::optional<RunPrices>& prices) const {
  std::string text = fmt::format("{:.2f} machine hours", status_.machine_hours);
  if (!prices) return text + "; what they cost: give --machine NAME";
  text += fmt::format(", about {:.2f} {} ({}, prices of {})",
                      status_.machine_hours * prices->per_machine_hour, prices->currency,
                      prices->machine, prices->as_of);
  if (prices->per_gb_month) {
    constexpr double kBytesPerGb = 1e9;
    text += fmt::format("; what is stored: {:.2f} {} a month",
                        static_cast<double>(status_.bytes) / kBytesPerGb * *prices->per_gb_month,
                        prices->currency);
  }
  return text;
}

std::string UnitList(const std::vector<int64_t>& units) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(units.size(), kShown); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(units[i]);
  }
  return text.empty() ? "-" : units.size() > kShown ? text + ",.." : text;
}

// Those who need attention first, then those who work, then those who are gone.
std::vector<const WorkerStatus*> InOrderOfInterest(const RunStatus& status) {
  std::vector<const WorkerStatus*> workers;
  for (const WorkerStatus& worker : status.workers) workers.push_back(&worker);
  const auto rank = [](const WorkerStatus* worker) {
    switch (worker->state) {
      case WorkerState::kSilent:
      case WorkerState::kLost:
        return 0;
      case WorkerState::kRunning:
      case WorkerState::kEnding:
        return 1;
      default:
        return 2;
    }
  };
  std::stable_sort(workers.begin(), workers.end(),
                   [&](const WorkerStatus* a, const WorkerStatus* b) { return rank(a) < rank(b); });
  return workers;
}

void StatusWriter::Workers() {
  if (status_.workers.empty()) return Field("workers", "none has been here");
  std::string counts;
  for (size_t i = 0; i < status_.worker_counts.size(); ++i) {
    if (status_.worker_counts[i] == 0) continue;
    counts +=
        fmt::format("{}{} {}", counts.empty() ? "" : ", ", FormatCount(status_.worker_counts[i]),
                    WorkerStateName(static_cast<WorkerState>(i)));
  }
  Field("workers", counts);
  Line("\n{:>6}  {:<16}  {:<8}  {:<14}  {:>9}  {:>10}  {:>11}  {:>12}  {:>8}  {}", "worker",
       "session", "state", "units held", "committed", "tokens/s", "upload", "heartbeat", "restarts",
       "last error");
  const std::vector<const WorkerStatus*> workers = InOrderOfInterest(status_);
  const size_t shown = Shown(kShownWorkers, workers.size());
  for (size_t i = 0; i < shown; ++i) {
    const WorkerStatus& worker = *workers[i];
    const Heartbeat& beat = worker.heartbeat;
    const bool is_running = worker.state == WorkerState::kRunning;
    const bool knows_recent = beat.beat_interval_ms > 0;
    const double tokens = knows_recent ? beat.recent_tokens_per_second : beat.tokens_per_second;
    Line("{:>6}  {:<16}  {:<8}  {:<14}  {:>9}  {:>10}  {:>11}  {:>12}  {:>8}  {}", beat.worker_id,
         beat.session, WorkerStateName(worker.state), UnitList(beat.units_held),
         FormatCount(beat.units_committed), FormatRate(is_running ? tokens : 0.0),
         FormatBytes(is_running ? beat.recent_bytes_per_second : 0.0) + "/s",
         FormatDuration(worker.age_ms) + " ago", worker.restarts,
         beat.last_error.empty() ? "-" : Quoted(beat.last_error));
  }
  if (workers.size() > shown) {
    Line("        and {} more (--all shows them)",
         FormatCount(static_cast<int64_t>(workers.size() - shown)));
  }
}

void StatusWriter::Problems() {
  if (!status_.quarantined.empty()) Line("\nunits set aside");
  const size_t aside = Shown(kShownProblems, status_.quarantined.size());
  for (size_t i = 0; i < aside; ++i) {
    const Quarantine& unit = status_.quarantined[i];
    Line("  unit {}, samples {} to {}: {}", unit.unit, unit.first_sample,
         unit.first_sample + unit.sample_count - 1,
         unit.errors.empty() ? "no reason given" : Quoted(unit.errors.front()));
  }
  const int64_t more_aside = status_.quarantined_count - static_cast<int64_t>(aside);
  if (more_aside > 0) Line("  and {} more", FormatCount(more_aside));
  if (!status_.rejected.empty()) Line("\nsamples rejected");
  const size_t rejected = Shown(kShownProblems, status_.rejected.size());
  for (size_t i = 0; i < rejected; ++i) {
    Line("  sample {}: {}", status_.rejected[i].sample, Quoted(status_.rejected[i].reason));
  }
  const int64_t more_rejected = status_.samples_rejected - static_cast<int64_t>(rejected);
  if (more_rejected > 0 && rejected > 0) {
    Line("  and {}{} more", About(), FormatCount(more_rejected));
  }
  if (!status_.unreadable.empty()) Line("\nrecords that cannot be read");
  const size_t unreadable = Shown(kShownProblems, status_.unreadable.size());
  for (size_t i = 0; i < unreadable; ++i) Line("  {}", status_.unreadable[i]);
  if (status_.unreadable.size() > unreadable) {
    Line("  and {} more; run thresher verify", status_.unreadable.size() - unreadable);
  }
}

std::string StatusWriter::Write(std::span<const Alert> alerts,
                                const std::optional<RunPrices>& prices) {
  Field("run", status_.url);
  Field("state", State());
  Field("units", Units());
  Field("samples", Samples());
  Field("tokens", About() + TokensText(status_.tokens, status_.forward_tokens));
  Field("bytes", About() + FormatBytes(static_cast<double>(status_.bytes)));
  if (status_.totals_source == TotalsSource::kSample) {
    Field("", "(samples, tokens and bytes from a sample of the commits; --exact reads them all)");
  }
  Field("speed", Speed());
  if (!status_.IsFinished()) {
    Field("ETA", status_.remaining_ms ? FormatDuration(*status_.remaining_ms) : "not known yet");
  }
  Field("leases", Leases());
  Field("cost", Cost(prices));
  for (size_t i = 0; i < alerts.size(); ++i) {
    Field(i == 0 ? "alerts" : "",
          fmt::format("{} ({}): {}", AlertName(alerts[i].kind),
                      AlertSeverityName(SeverityOf(alerts[i].kind)), alerts[i].text));
  }
  Workers();
  Problems();
  return std::move(text_);
}

}  // namespace

std::string StatusText(const RunStatus& status, std::span<const Alert> alerts,
                       const std::optional<RunPrices>& prices, bool all) {
  return StatusWriter(status, all).Write(alerts, prices);
}

}  // namespace thresher
