// thresher-sim: the protocol of a run in a world made up from a seed.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "sim/mutants.h"
#include "sim/scale.h"
#include "sim/scenario.h"
#include "sim/seed_runner.h"

namespace thresher::sim {
namespace {

constexpr const char* kFooter = R"(Examples:
  thresher-sim run --seeds 1-100000 --jobs 2     a hundred thousand worlds
  thresher-sim run --seed 42 --trace             all that happens in one of them
  thresher-sim mutants                           protocols broken on purpose: each must be found
  thresher-sim scale --workers 1000 --units 100000 --preempt-per-hour 0.3

A world is a pure function of its seed and of the program's version: the units, the machines, the
store, and everything that goes wrong. The workers run the product's own code from the ledger down;
the store, the clocks, the network and the engine are made up. The exit status is 1 if a check
failed.

"Ideal" in `scale` is the time that all units take if every machine computes without a pause from
the first second to the last, except while a pre-empted one is being replaced:
  units * unit-seconds / workers / (1 - preempt-per-hour * restart-seconds / 3600)
It leaves out everything that the protocol, the store and pre-emptions may cost: claims, uploads,
work lost half done, leases that run out, and machines without work at the end.)";

bool ParseRange(std::string_view text, SeedRange& range) {
  const size_t dash = text.find('-');
  const std::string_view first = text.substr(0, dash);
  const std::string_view last = dash == text.npos ? first : text.substr(dash + 1);
  const auto parse = [](std::string_view digits, uint64_t& number) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  return parse(first, range.first) && parse(last, range.last) && range.first <= range.last;
}

const Mutant* FindMutantByName(const std::string& name) {
  for (const Mutant& mutant : Mutants()) {
    if (mutant.name == name) return &mutant;
  }
  return nullptr;
}

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void ShowFailure(const WorldReport& report, const std::string& mutant) {
  const Mutant* found = FindMutantByName(mutant);
  fmt::print("\nseed {} failed at {:.3f} s: {}\nlast events:\n", report.seed,
             report.failed_at_seconds, report.failure);
  constexpr size_t kLines = 25;
  for (const std::string& line :
       LastEvents(report.seed, found != nullptr ? found->protocol : ProtocolFactory(), kLines)) {
    fmt::print("{}\n", line);
  }
  fmt::print("replay: thresher-sim run --seed {} --trace{}\n", report.seed,
             mutant.empty() ? "" : " --mutant " + mutant);
}

struct RunCommand {
  std::string seeds = "1-1000";
  int64_t jobs = 1;
  bool trace = false;
  std::string mutant;

  int Execute() const;
  int Trace(uint64_t seed, const ProtocolFactory& protocol) const;
};

int RunCommand::Trace(uint64_t seed, const ProtocolFactory& protocol) const {
  fmt::print("{}", DrawScenario(seed).Describe());
  const WorldReport report =
      RunSeed(seed, protocol, [](const std::string& line) { fmt::print("{}\n", line); });
  fmt::print("{}\n", report.failure.empty() ? "all checks passed" : "FAILED: " + report.failure);
  return report.failure.empty() ? 0 : 1;
}

int RunCommand::Execute() const {
  SeedRange range;
  if (!ParseRange(seeds, range)) {
    fmt::print(stderr, "--seeds {}: expected two numbers such as 1-1000\n", seeds);
    return 2;
  }
  const Mutant* found = FindMutantByName(mutant);
  if (!mutant.empty() && found == nullptr) {
    fmt::print(stderr, "--mutant {}: there is none of that name; see thresher-sim mutants\n",
               mutant);
    return 2;
  }
  const ProtocolFactory protocol = found != nullptr ? found->protocol : ProtocolFactory();
  if (trace) return Trace(range.first, protocol);
  const auto begin = std::chrono::steady_clock::now();
  double shown_seconds = 0;
  const SeedSummary summary = RunSeeds(
      range, {.jobs = jobs, .protocol = protocol, .progress = [&](const SeedSummary& so_far) {
                const double seconds = SecondsSince(begin);
                if (seconds < shown_seconds + 5) return;
                shown_seconds = seconds;
                const double rate = static_cast<double>(so_far.worlds) / seconds;
                const double left = static_cast<double>(range.count()) - so_far.worlds;
                fmt::print(stderr, "{} of {} seeds, {:.0f}/s, {:.0f} s to go, {} failures\n",
                           so_far.worlds, range.count(), rate, left / rate, so_far.failures.size());
              }});
  for (const WorldReport& report : summary.failures) ShowFailure(report, mutant);
  fmt::print("seeds {}-{}: {} in {:.1f} s\n", range.first, range.last, summary.Describe(),
             SecondsSince(begin));
  return summary.failures.empty() ? 0 : 1;
}

int ExecuteMutants(uint64_t last_seed) {
  int status = 0;
  for (const Mutant& mutant : Mutants()) {
    const std::optional<MutantFound> found = FindMutant(mutant, last_seed);
    fmt::print("{:<22} {}\n", mutant.name, mutant.what);
    if (found) {
      fmt::print("{:<22} found by seed {}: {}\n", "", found->seed, found->failure);
    } else {
      fmt::print("{:<22} NOT FOUND by seeds 1-{}\n", "", last_seed);
      status = 1;
    }
  }
  return status;
}

int ExecuteScale(const ScaleOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  const ScaleReport report = SimulateScale(options, [&](double now_seconds, int64_t committed) {
    fmt::print(stderr, "simulated {:.0f} s, {} units committed, {:.0f} s gone\n", now_seconds,
               committed, SecondsSince(begin));
  });
  fmt::print("{}", DescribeScale(options, report));
  return report.complete ? 0 : 1;
}

void AddScaleOptions(CLI::App& command, ScaleOptions& options, bool& unknown_worker_count) {
  command.add_option("--workers", options.workers, "machines")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--units", options.units, "units of the run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--preempt-per-hour", options.preempt_per_hour, "of each machine")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--unit-seconds", options.unit_seconds, "computing time of a unit")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--speed-spread", options.speed_spread, "0.05: machines differ by 5 %")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command.add_option("--restart-seconds", options.restart_seconds, "until a machine is replaced")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--notice-seconds", options.notice_seconds, "0: killed without notice")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--start-seconds", options.start_seconds, "machines start within this time")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--upload-seconds", options.upload_seconds, "of a shard")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--latency-ms", options.latency_ms, "of a store call")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--lease-ttl-ms", options.lease_ttl_ms, "time to live of a silent worker")
      ->capture_default_str();
  command.add_option("--beat-interval-ms", options.beat_interval_ms, "between heartbeats")
      ->capture_default_str();
  command.add_flag("--unknown-worker-count", unknown_worker_count,
                   "workers are not told how many they are");
  command.add_option("--seed", options.seed, "of speeds and pre-emptions")->capture_default_str();
}

int Main(int argc, char** argv) {
  CLI::App app("Simulates whole runs, many workers and one store, from a seed.", "thresher-sim");
  app.footer(kFooter);
  app.require_subcommand(1);

  RunCommand run;
  CLI::App* run_command = app.add_subcommand("run", "turn the worlds of some seeds");
  run_command->add_option("--seeds,--seed", run.seeds, "a seed, or a range")->capture_default_str();
  run_command->add_option("--jobs", run.jobs, "threads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  run_command->add_flag("--trace", run.trace, "print all that happens in the (first) seed");
  run_command->add_option("--mutant", run.mutant, "with this broken protocol");

  uint64_t last_seed = 3000;
  CLI::App* mutants_command =
      app.add_subcommand("mutants", "list the broken protocols and find each");
  mutants_command->add_option("--seeds", last_seed, "try seeds 1 to this")->capture_default_str();

  ScaleOptions scale;
  bool unknown_worker_count = false;
  CLI::App* scale_command = app.add_subcommand("scale", "cost of a large run");
  AddScaleOptions(*scale_command, scale, unknown_worker_count);

  CLI11_PARSE(app, argc, argv);
  scale.known_worker_count = !unknown_worker_count;
  if (run_command->parsed()) return run.Execute();
  if (mutants_command->parsed()) return ExecuteMutants(last_seed);
  return ExecuteScale(scale);
}

}  // namespace
}  // namespace thresher::sim

int main(int argc, char** argv) { return thresher::sim::Main(argc, argv); }
