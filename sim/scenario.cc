#include "sim/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "sim/seeds.h"

namespace thresher::sim {
namespace {

constexpr int64_t kSecondUs = 1'000'000;

int64_t Between(Random& random, int64_t least, int64_t most) {
  return least + static_cast<int64_t>(random.Below(static_cast<uint64_t>(most - least + 1)));
}

// Between two numbers, every order of magnitude equally likely.
double LogBetween(Random& random, double least, double most) {
  return least * std::exp(random.Uniform() * std::log(most / least));
}

bool Chance(Random& random, double probability) { return random.Uniform() < probability; }

// Zero, or a probability up to `most`.
double SometimesUpTo(Random& random, double most) {
  return Chance(random, 0.4) ? LogBetween(random, most / 50, most) : 0;
}

Workload DrawWorkload(Random& random) {
  Workload workload;
  const int64_t units = Between(random, 1, Chance(random, 0.1) ? 60 : 16);
  workload.samples_per_unit = Between(random, 1, 4);
  workload.sample_count =
      units * workload.samples_per_unit - Between(random, 0, workload.samples_per_unit - 1);
  workload.unit_us = static_cast<int64_t>(LogBetween(random, 2, 60) * kSecondUs);
  workload.batches_per_unit = Between(random, 1, 4);
  if (Chance(random, 0.15)) {
    workload.poison[Between(random, 0, workload.unit_count() - 1)] =
        Chance(random, 0.75) ? Poison::kFails : Poison::kKills;
  }
  return workload;
}

StoreFaults DrawStoreFaults(Random& random) {
  StoreFaults faults;
  if (Chance(random, 0.1)) return faults;
  faults.error_before = SometimesUpTo(random, 0.2);
  faults.error_after = SometimesUpTo(random, 0.2);
  faults.lost_request = SometimesUpTo(random, 0.05);
  faults.lost_answer = SometimesUpTo(random, 0.05);
  faults.late_effect = SometimesUpTo(random, 0.05);
  faults.duplicate = SometimesUpTo(random, 0.3);
  faults.false_conflict = SometimesUpTo(random, 0.3);
  faults.truncate = SometimesUpTo(random, 0.2);
  faults.slow = SometimesUpTo(random, 0.2);
  faults.stale_list = SometimesUpTo(random, 0.8);
  faults.max_late_us = static_cast<int64_t>(LogBetween(random, 1, 600) * kSecondUs);
  faults.max_slow_us = static_cast<int64_t>(LogBetween(random, 0.1, 30) * kSecondUs);
  faults.max_list_lag_us = static_cast<int64_t>(LogBetween(random, 0.5, 20) * kSecondUs);
  faults.shows_partial_uploads = Chance(random, 0.5);
  return faults;
}

StoreProfile DrawStore(Random& random, int64_t faults_end_us) {
  StoreProfile store;
  store.latency_us = static_cast<int64_t>(LogBetween(random, 2'000, 300'000));
  store.shard_transfer_us = static_cast<int64_t>(LogBetween(random, 0.1, 20) * kSecondUs);
  store.timeout_us = static_cast<int64_t>(LogBetween(random, 5, 60) * kSecondUs);
  store.page_objects = Chance(random, 0.3) ? Between(random, 1, 7) : 1000;
  store.clock_base_ms = 1'700'000'000'000 + Between(random, 0, 200'000'000'000);
  store.clock_resolution_ms = Chance(random, 0.5) ? 1 : 1000;
  store.clock_rate = 1.0 + 0.02 * (random.Uniform() - 0.5);
  store.gives_checksums = Chance(random, 0.3);
  store.faults = DrawStoreFaults(random);
  store.faults_end_us = faults_end_us;
  for (int64_t outages = Chance(random, 0.3) ? Between(random, 1, 2) : 0; outages > 0; --outages) {
    const int64_t begin_us = Between(random, 0, faults_end_us);
    const auto lasts_us = static_cast<int64_t>(LogBetween(random, 1, 300) * kSecondUs);
    store.outages.push_back({begin_us, begin_us + lasts_us, Chance(random, 0.5)});
  }
  if (Chance(random, 0.1)) {
    store.clock_jumps.push_back(
        {Between(random, 0, faults_end_us), Between(random, -600'000, 600'000)});
  }
  return store;
}

MishapAt DrawMishap(Random& random, int64_t faults_end_us, int64_t ttl_ms) {
  constexpr Mishap kKinds[] = {Mishap::kKill,    Mishap::kKill,      Mishap::kStop,
                               Mishap::kSuspend, Mishap::kPartition, Mishap::kWallClock};
  MishapAt mishap;
  mishap.at_us = Between(random, 0, faults_end_us);
  mishap.mishap = kKinds[random.Below(std::size(kKinds))];
  const auto ttl_us = static_cast<double>(1000 * ttl_ms);
  mishap.lasts_us = static_cast<int64_t>(LogBetween(random, 0.05 * ttl_us, 5 * ttl_us));
  if (mishap.mishap == Mishap::kWallClock && Chance(random, 0.5)) mishap.lasts_us *= -1'000'000;
  return mishap;
}

SlotPlan DrawSlot(Random& random, int64_t worker_id, int64_t faults_end_us, int64_t ttl_ms,
                  double mishaps_per_slot) {
  SlotPlan slot;
  slot.worker_id = worker_id;
  slot.begin_us =
      Chance(random, 0.6) ? Between(random, 0, kSecondUs) : Between(random, 0, faults_end_us);
  slot.restart_us = static_cast<int64_t>(LogBetween(random, 0.1, 60) * kSecondUs);
  slot.leave_probability = Chance(random, 0.3) ? 0.5 : 0.05;
  slot.clock_rate = 1.0 + 0.06 * (random.Uniform() - 0.5);
  auto mishaps = static_cast<int64_t>(mishaps_per_slot * 2 * random.Uniform() + 0.5);
  for (; mishaps > 0; --mishaps) {
    slot.mishaps.push_back(DrawMishap(random, faults_end_us, ttl_ms));
  }
  return slot;
}

// A generous bound: all units one after another on the slowest machine, poison that has to run its
// course, and what the protocol may wait for.
int64_t DeadlineUs(const Scenario& scenario) {
  const int64_t ttl_us = 1000 * scenario.worker.lease_ttl_ms;
  double slowest = 1;
  for (const auto& [machine, factor] : scenario.workload.slow_on_machine) {
    slowest = std::max(slowest, factor);
  }
  const auto compute_us =
      static_cast<int64_t>(slowest * static_cast<double>(scenario.workload.unit_us));
  const int64_t unit_us = scenario.workload.unit_us + 2 * scenario.store.shard_transfer_us +
                          60 * scenario.store.latency_us;
  int64_t bound_us = scenario.faults_end_us + 4 * ttl_us + 4 * scenario.store.timeout_us +
                     (scenario.workload.unit_count() + 4) * unit_us + 2 * compute_us +
                     600 * kSecondUs;
  for (const auto& [unit, poison] : scenario.workload.poison) {
    // Every try of a unit that kills costs a life and the time until that is noticed.
    constexpr int64_t kRestartUs = 60 * kSecondUs;
    bound_us += poison == Poison::kKills ? 25 * (3 * ttl_us + unit_us + compute_us + kRestartUs)
                                         : 4 * (ttl_us + unit_us + compute_us);
  }
  return bound_us;
}

}  // namespace

int64_t Scenario::IdealUs() const {
  const auto workers = static_cast<int64_t>(slots.size());
  return workload.unit_us * ((workload.unit_count() + workers - 1) / workers);
}

Scenario DrawScenario(uint64_t seed) {
  Random random(SeedFor(seed, "scenario"));
  Scenario scenario;
  scenario.seed = seed;
  scenario.workload = DrawWorkload(random);
  const int64_t workers = Between(random, 1, 6);
  WorkerSettings& worker = scenario.worker;
  worker.lease_ttl_ms = static_cast<int64_t>(LogBetween(random, 10'000, 120'000));
  worker.beat_interval_ms = worker.lease_ttl_ms / Between(random, 4, 12);
  worker.idle_poll_ms = static_cast<int64_t>(LogBetween(random, 1'000, 10'000));
  worker.arenas = Between(random, 1, 3);
  worker.stop_grace_ms = Between(random, 5'000, 30'000);
  const int64_t pass_us = scenario.workload.unit_us * scenario.workload.unit_count() / workers;
  scenario.faults_end_us = static_cast<int64_t>(static_cast<double>(pass_us + 30 * kSecondUs) *
                                                LogBetween(random, 0.5, 4));
  scenario.store = DrawStore(random, scenario.faults_end_us);
  const bool equal_ids = Chance(random, 0.2);
  const double mishaps = Chance(random, 0.15) ? 0 : LogBetween(random, 0.3, 5);
  for (int64_t slot = 0; slot < workers; ++slot) {
    scenario.slots.push_back(DrawSlot(random, equal_ids ? slot / 2 : slot, scenario.faults_end_us,
                                      worker.lease_ttl_ms, mishaps));
  }
  if (Chance(random, 0.5)) worker.worker_count = Chance(random, 0.8) ? workers : 3;
  if (Chance(random, 0.15)) {
    scenario.workload.slow_on_machine[Between(random, 0, workers - 1)] = LogBetween(random, 3, 30);
  }
  scenario.deadline_us = DeadlineUs(scenario);
  return scenario;
}

Scenario CalmScenario(int64_t workers, int64_t units) {
  Scenario scenario;
  scenario.workload.sample_count = units;
  scenario.workload.samples_per_unit = 1;
  scenario.workload.unit_us = 60 * kSecondUs;
  scenario.workload.batches_per_unit = 4;
  for (int64_t slot = 0; slot < workers; ++slot) {
    SlotPlan plan;
    plan.worker_id = slot;
    scenario.slots.push_back(plan);
  }
  scenario.deadline_us = DeadlineUs(scenario);
  return scenario;
}

std::string Scenario::Describe() const {
  const StoreFaults& f = store.faults;
  std::string text = fmt::format(
      "seed {}: {} units of {:.1f} s, {} machines, lease {} s, faults until {:.0f} s, deadline "
      "{:.0f} s\nstore: latency {} ms, time-out {:.0f} s, clock resolution {} ms; error before "
      "{:.3f}, after {:.3f}, lost request {:.3f}, answer {:.3f}, late {:.3f} (up to {:.0f} s), "
      "duplicate {:.3f}, false conflict {:.3f}, cut off {:.3f}, slow {:.3f}, stale list {:.3f} (up "
      "to {:.1f} s), partial uploads {}\n",
      seed, workload.unit_count(), static_cast<double>(workload.unit_us) / 1e6, slots.size(),
      worker.lease_ttl_ms / 1000, static_cast<double>(faults_end_us) / 1e6,
      static_cast<double>(deadline_us) / 1e6, store.latency_us / 1000,
      static_cast<double>(store.timeout_us) / 1e6, store.clock_resolution_ms, f.error_before,
      f.error_after, f.lost_request, f.lost_answer, f.late_effect,
      static_cast<double>(f.max_late_us) / 1e6, f.duplicate, f.false_conflict, f.truncate, f.slow,
      f.stale_list, static_cast<double>(f.max_list_lag_us) / 1e6,
      f.shows_partial_uploads ? "shown" : "hidden");
  for (const auto& [unit, poison] : workload.poison) {
    text += fmt::format("unit {} {}\n", unit, poison == Poison::kFails ? "fails" : "kills");
  }
  return text;
}

}  // namespace thresher::sim
