#include "sim/seed_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "sim/scenario.h"

namespace thresher::sim {
namespace {

double Ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void SeedSummary::Add(const WorldReport& report) {
  ++worlds;
  units += report.unit_count;
  sessions += report.sessions;
  kills += report.kills;
  events += report.events;
  innocents_set_aside += report.innocents_set_aside;
  for (size_t call = 0; call < kStoreCallCount; ++call) {
    requests.of_units[call] += report.requests.of_units[call];
    requests.of_heartbeats[call] += report.requests.of_heartbeats[call];
  }
  work.computed_us += report.work.computed_us;
  work.useful_us += report.work.useful_us;
  work.duplicated_us += report.work.duplicated_us;
  work.committed_units += report.work.committed_units;
  work.duplicate_units += report.work.duplicate_units;
  if (!report.failure.empty()) failures.push_back(report);
}

std::string SeedSummary::Describe() const {
  return fmt::format(
      "{} worlds, {} units, {} sessions, {} killed, {} events; {:.1f} requests a unit besides "
      "heartbeats; work useful {:.1f} %, duplicated {:.1f} %; {} innocent units set aside; {} "
      "failures",
      worlds, units, sessions, kills, events, Ratio(requests.TotalOfUnits(), units),
      100 * Ratio(work.useful_us, work.computed_us),
      100 * Ratio(work.duplicated_us, work.computed_us), innocents_set_aside, failures.size());
}

WorldReport RunSeed(uint64_t seed, const ProtocolFactory& protocol, const TraceSink& trace) {
  const Scenario scenario = DrawScenario(seed);
  return World(scenario, {.protocol = protocol, .trace = trace}).Turn();
}

std::vector<std::string> LastEvents(uint64_t seed, const ProtocolFactory& protocol, size_t count) {
  std::deque<std::string> last;
  (void)RunSeed(seed, protocol, [&](const std::string& line) {
    last.push_back(line);
    if (last.size() > count) last.pop_front();
  });
  return {last.begin(), last.end()};
}

SeedSummary RunSeeds(const SeedRange& range, const SeedRunOptions& options) {
  SeedSummary summary;
  std::mutex mutex;
  std::atomic<uint64_t> next{range.first};
  const auto work = [&] {
    while (true) {
      const uint64_t seed = next++;
      if (seed > range.last || seed < range.first) return;
      const WorldReport report = RunSeed(seed, options.protocol, {});
      const std::lock_guard lock(mutex);
      summary.Add(report);
      if (summary.failures.size() >= options.max_failures) next = range.last + 1;
      if (options.progress) options.progress(summary);
    }
  };
  std::vector<std::thread> threads;
  for (int64_t job = 1; job < options.jobs; ++job) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  std::ranges::sort(summary.failures, {}, &WorldReport::seed);
  return summary;
}

}  // namespace thresher::sim
