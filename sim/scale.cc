#include "sim/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "sim/scenario.h"
#include "sim/seeds.h"
#include "sim/store_state.h"
#include "sim/world.h"
#include "work/keys.h"

namespace thresher::sim {
namespace {

constexpr double kSecondUs = 1e6;

int64_t Us(double seconds) { return static_cast<int64_t>(seconds * kSecondUs); }

// Useful machine time that a pre-emption takes even if nothing else is lost: none works until the
// next machine has come up.
double IdealSeconds(const ScaleOptions& o) {
  const double workers = static_cast<double>(o.workers);
  const double down_share = o.preempt_per_hour * o.restart_seconds / 3600;
  return static_cast<double>(o.units) * o.unit_seconds / workers / (1 - down_share);
}

SlotPlan DrawSlot(Random& random, const ScaleOptions& o, int64_t number, int64_t horizon_us) {
  SlotPlan slot;
  slot.worker_id = number;
  slot.begin_us = Us(o.start_seconds * random.Uniform());
  slot.restart_us = Us(o.restart_seconds);
  slot.clock_rate = 1 + 0.0002 * (random.Uniform() - 0.5);
  slot.speed = 1 + o.speed_spread * (2 * random.Uniform() - 1);
  if (o.preempt_per_hour <= 0) return slot;
  double at_hours = 0;
  while (true) {
    at_hours -= std::log(1 - random.Uniform()) / o.preempt_per_hour;
    const int64_t at_us = Us(3600 * at_hours);
    if (at_us > horizon_us) return slot;
    slot.mishaps.push_back(
        {at_us, o.notice_seconds > 0 ? Mishap::kStop : Mishap::kKill, Us(o.notice_seconds)});
  }
}

Scenario ScenarioOf(const ScaleOptions& o) {
  Scenario scenario;
  scenario.seed = o.seed;
  scenario.workload.sample_count = o.units;
  scenario.workload.samples_per_unit = 1;
  scenario.workload.unit_us = Us(o.unit_seconds);
  scenario.workload.batches_per_unit = 4;
  scenario.worker.lease_ttl_ms = o.lease_ttl_ms;
  scenario.worker.beat_interval_ms = o.beat_interval_ms;
  scenario.worker.stop_grace_ms = std::max<int64_t>(1, Us(o.notice_seconds) / 1000);
  if (o.known_worker_count) scenario.worker.worker_count = o.workers;
  scenario.worker.writes_manifest = false;
  scenario.store.latency_us = static_cast<int64_t>(1000 * o.latency_ms);
  scenario.store.shard_transfer_us = Us(o.upload_seconds);
  scenario.deadline_us = Us(3 * IdealSeconds(o) + 4000);
  Random random(SeedFor(o.seed, "scale"));
  for (int64_t slot = 0; slot < o.workers; ++slot) {
    scenario.slots.push_back(DrawSlot(random, o, slot, scenario.deadline_us));
  }
  return scenario;
}

RequestCounts Difference(const RequestCounts& later, const RequestCounts& earlier) {
  RequestCounts difference = later;
  for (size_t call = 0; call < kStoreCallCount; ++call) {
    difference.of_units[call] -= earlier.of_units[call];
    difference.of_heartbeats[call] -= earlier.of_heartbeats[call];
  }
  return difference;
}

int64_t Total(const RequestCounts& counts) {
  int64_t total = counts.TotalOfUnits();
  for (const int64_t count : counts.of_heartbeats) total += count;
  return total;
}

// Counts units as the store has them: a worker may die before it hears of its commit.
class CommitCounter : public StoreObserver {
 public:
  explicit CommitCounter(const Scheduler& scheduler) : scheduler_(scheduler) {}

  void OnWrite(std::string_view key, const StoredObject* old,
               const StoredObject& /*written*/) override {
    if (old != nullptr || !key.starts_with(kCommitsPrefix)) return;
    ++count_;
    last_us_ = scheduler_.now_us();
  }
  void OnDelete(std::string_view /*key*/, const StoredObject& /*old*/) override {}

  int64_t count() const { return count_; }
  int64_t last_us() const { return last_us_; }

 private:
  const Scheduler& scheduler_;
  int64_t count_ = 0;
  int64_t last_us_ = 0;
};

// Counts requests second by second and cuts them into phases: the start until every machine is up
// and has had a minute, the end from where fewer units are open than there are machines.
class PhaseMeter {
 public:
  PhaseMeter(World& world, const ScaleOptions& options) : world_(world), options_(options) {}

  void Tick(int64_t committed) {
    const RequestCounts& now = world_.network().counts();
    const double seconds = static_cast<double>(world_.scheduler().now_us()) / kSecondUs;
    const bool at_end = options_.units - committed < 2 * options_.workers;
    const char* name = at_end ? "end" : seconds < options_.start_seconds + 60 ? "start" : "steady";
    if (phases_.empty() || phases_.back().name != name) phases_.push_back({name, 0, {}, 0});
    const RequestCounts step = Difference(now, last_);
    ScaleReport::Phase& phase = phases_.back();
    phase.seconds += 1;
    phase.peak_per_second = std::max(phase.peak_per_second, static_cast<double>(Total(step)));
    for (size_t call = 0; call < kStoreCallCount; ++call) {
      phase.requests.of_units[call] += step.of_units[call];
      phase.requests.of_heartbeats[call] += step.of_heartbeats[call];
    }
    last_ = now;
  }
  std::vector<ScaleReport::Phase> Take() { return std::move(phases_); }

 private:
  World& world_;
  const ScaleOptions& options_;
  RequestCounts last_;
  std::vector<ScaleReport::Phase> phases_;
};

std::string DescribeCalls(const RequestCounts& counts, double divisor) {
  constexpr const char* kNames[kStoreCallCount] = {"put",  "create", "get",   "range",
                                                   "stat", "list",   "delete"};
  std::string text;
  for (size_t call = 0; call < kStoreCallCount; ++call) {
    if (counts.of_units[call] == 0) continue;
    text += fmt::format(" {} {:.2f}", kNames[call],
                        static_cast<double>(counts.of_units[call]) / divisor);
  }
  return text;
}

}  // namespace

ScaleReport SimulateScale(
    const ScaleOptions& options,
    const std::function<void(double now_seconds, int64_t committed)>& progress) {
  const Scenario scenario = ScenarioOf(options);
  const Run run{SpecOf(scenario.workload), SpecOf(scenario.workload).Fingerprint(),
                PlanOf(scenario.workload)};
  World world(scenario, {.protocol = {}, .trace = {}, .checks = false, .shared_run = &run});
  world.state().Put(kRunKey, "shared", 6, 0);
  CommitCounter commits(world.scheduler());
  world.state().SetObserver(&commits);
  PhaseMeter meter(world, options);
  ScaleReport report;
  report.ideal_seconds = IdealSeconds(options);
  const std::function<void()> tick = [&] {
    const int64_t committed = commits.count();
    const double now_seconds = static_cast<double>(world.scheduler().now_us()) / kSecondUs;
    meter.Tick(committed);
    if (committed >= options.units) {
      report.complete = true;
      world.scheduler().Stop();
      return;
    }
    if (std::fmod(now_seconds, 60) < 1 && progress) progress(now_seconds, committed);
    world.scheduler().After(Us(1), tick);
  };
  world.scheduler().After(Us(1), tick);
  const WorldReport turned = world.Turn();
  report.makespan_seconds = static_cast<double>(commits.last_us()) / kSecondUs;
  report.preemptions = turned.kills;
  report.work = turned.work;
  report.requests = turned.requests;
  report.phases = meter.Take();
  return report;
}

std::string DescribeScale(const ScaleOptions& options, const ScaleReport& report) {
  const auto percent = [&](int64_t part_us) {
    return 100.0 * static_cast<double>(part_us) / static_cast<double>(report.work.computed_us);
  };
  const int64_t lost_us =
      report.work.computed_us - report.work.useful_us - report.work.duplicated_us;
  std::string text = fmt::format(
      "{} workers ({}), {} units of {} s, {} pre-emptions an hour and machine: {}\n"
      "makespan {:.0f} s over ideal {:.0f} s = {:.3f}; {} sessions killed\n"
      "work: duplicated {:.2f} %, lost {:.2f} %\n"
      "requests a unit besides heartbeats: {:.2f} =",
      options.workers, options.known_worker_count ? "number known" : "number unknown",
      options.units, options.unit_seconds, options.preempt_per_hour,
      report.complete ? "complete" : "NOT COMPLETE", report.makespan_seconds, report.ideal_seconds,
      report.makespan_seconds / report.ideal_seconds, report.preemptions,
      percent(report.work.duplicated_us), percent(lost_us),
      static_cast<double>(report.requests.TotalOfUnits()) / static_cast<double>(options.units));
  text += DescribeCalls(report.requests, static_cast<double>(options.units)) + "\n";
  for (const ScaleReport::Phase& phase : report.phases) {
    int64_t beats = 0;
    for (const int64_t count : phase.requests.of_heartbeats) beats += count;
    text += fmt::format(
        "{:>7}: {:.0f} s, {:.0f} requests/s (peak {:.0f}); heartbeats {:.0f}/s, others/s:{}\n",
        phase.name, phase.seconds, static_cast<double>(Total(phase.requests)) / phase.seconds,
        phase.peak_per_second, static_cast<double>(beats) / phase.seconds,
        DescribeCalls(phase.requests, phase.seconds));
  }
  return text;
}

}  // namespace thresher::sim
