#include "sim/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sim/seeds.h"

namespace thresher::sim {
namespace {

double Seconds(int64_t us) { return static_cast<double>(us) / 1e6; }

constexpr int64_t kKillAfterGraceUs = 5'000'000;  // later than the worker's own reckoning

}  // namespace

// Kept until the world ends, in part: requests that are on their way know their process.
struct World::Session {
  Session(Machine& machine, std::function<void()> on_end) : process(machine, std::move(on_end)) {}

  Process process;
  // What a process has in memory is freed with it.
  struct Memory {
    Memory(World& world, Slot& slot, Session& session, const std::string& id);

    SimClock clock;
    SimStore store;
    std::unique_ptr<Protocol> protocol;
    std::unique_ptr<Store> wrapped;
    SimWorker worker;
  };
  std::unique_ptr<Memory> memory;
};

World::Session::Memory::Memory(World& world, Slot& slot, Session& session, const std::string& id)
    : clock(world.scheduler_, slot.machine),
      store(world.network_, session.process, id),
      protocol(world.options_.protocol ? world.options_.protocol() : std::make_unique<Protocol>()),
      wrapped(protocol->Wrap(store)),
      worker({.scheduler = world.scheduler_,
              .process = session.process,
              .clock = clock,
              .store = *wrapped,
              .protocol = *protocol,
              .workload = world.scenario_.workload,
              .work_done = world.work_,
              .worker_id = slot.plan.worker_id,
              .machine_number = slot.number,
              .speed = slot.plan.speed,
              .session = id,
              .trace = world.options_.trace ? [&world](const std::string& text) { world.Say(text); }
                                            : TraceSink(),
              .shared_run = world.options_.shared_run},
             world.scenario_.worker) {}

World::World(const Scenario& scenario, Options options)
    : scenario_(scenario),
      options_(std::move(options)),
      state_(scheduler_, scenario_.store),
      network_(scheduler_, state_, scenario_.store, SeedFor(scenario_.seed, "network")),
      session_ids_(SeedFor(scenario_.seed, "sessions")),
      fortune_(SeedFor(scenario_.seed, "fortune")) {
  if (options_.checks) {
    oracle_.emplace(scenario_.workload, [this](const std::string& what) { Fail(what); });
    oracle_->Watch(state_);
    state_.SetObserver(&*oracle_);
  }
  if (options_.trace) network_.SetTrace([this](const std::string& text) { Say(text); });
  report_.seed = scenario_.seed;
  report_.unit_count = scenario_.workload.unit_count();
  for (const SlotPlan& plan : scenario_.slots) {
    Slot& slot = slots_.emplace_back(plan);
    slot.number = static_cast<int64_t>(slots_.size()) - 1;
    ScheduleStart(slot, plan.begin_us);
    for (const MishapAt& mishap : plan.mishaps) ScheduleMishap(slot, mishap);
  }
  scheduler_.At(scenario_.faults_end_us, [this] { ReviveEverybody(); });
}

World::~World() {
  for (const auto& session : sessions_) scheduler_.Kill(session->process);
  scheduler_.Drain();
}

void World::Say(const std::string& text) {
  if (options_.trace) {
    options_.trace(fmt::format("{:12.6f}  {}", Seconds(scheduler_.now_us()), text));
  }
}

void World::Fail(const std::string& what) {
  if (!report_.failure.empty()) return;
  report_.failure = what;
  report_.failed_at_seconds = Seconds(scheduler_.now_us());
  Say("FAILURE: " + what);
  scheduler_.Stop();
}

void World::ScheduleStart(Slot& slot, int64_t at_us) {
  slot.starting = true;
  scheduler_.At(at_us, [this, &slot] {
    slot.starting = false;
    StartSession(slot);
  });
}

void World::StartSession(Slot& slot) {
  const std::string id = fmt::format("{:016x}", session_ids_.Next());
  Say(fmt::format("machine {} starts worker {} as session {}", slot.number, slot.plan.worker_id,
                  id));
  ++report_.sessions;
  sessions_.push_back(std::make_unique<Session>(slot.machine, [this, &slot] {
    // Not at once: the last task of the process is still being put away.
    scheduler_.After(0, [this, &slot] { OnEnd(slot); });
  }));
  Session& session = *sessions_.back();
  session.memory = std::make_unique<Session::Memory>(*this, slot, session, id);
  slot.session = &session;
  scheduler_.Spawn(session.process, [&worker = session.memory->worker] { worker.Run(); });
}

void World::OnEnd(Slot& slot) {
  Session& session = *std::exchange(slot.session, nullptr);
  const SimWorker::Exit exit = session.memory->worker.exit();
  session.memory.reset();
  if (session.process.killed()) {
    ++report_.kills;
  } else if (exit == SimWorker::Exit::kComplete) {
    slot.gone = true;
    slot.complete = true;
    if (report_.finished_at_seconds == 0) {
      report_.finished_at_seconds = Seconds(scheduler_.now_us());
    }
    return;
  }
  const bool faults_over = scheduler_.now_us() >= scenario_.faults_end_us;
  if (!faults_over && fortune_.Uniform() < slot.plan.leave_probability) {
    Say(fmt::format("machine {} leaves", slot.number));
    slot.gone = true;
    return;
  }
  ScheduleStart(slot, scheduler_.now_us() + slot.plan.restart_us);
}

void World::ScheduleMishap(Slot& slot, const MishapAt& mishap) {
  scheduler_.At(mishap.at_us, [this, &slot, mishap] { Strike(slot, mishap); });
}

void World::Strike(Slot& slot, const MishapAt& mishap) {
  switch (mishap.mishap) {
    case Mishap::kKill:
    case Mishap::kStop:
      if (slot.session != nullptr) StrikeSession(slot, mishap.mishap);
      break;
    case Mishap::kSuspend:
      Say(fmt::format("machine {} stands still for {:.1f} s", slot.number,
                      Seconds(mishap.lasts_us)));
      scheduler_.Suspend(slot.machine, fortune_.Below(2) == 0);
      scheduler_.After(mishap.lasts_us, [this, &slot] {
        Say(fmt::format("machine {} goes on", slot.number));
        scheduler_.Resume(slot.machine);
      });
      break;
    case Mishap::kPartition:
      Say(fmt::format("machine {} is cut off for {:.1f} s", slot.number, Seconds(mishap.lasts_us)));
      network_.Partition(slot.machine, true);
      scheduler_.After(mishap.lasts_us, [this, &slot] { network_.Partition(slot.machine, false); });
      break;
    case Mishap::kWallClock:
      slot.machine.JumpWallClock(mishap.lasts_us / 1000);
      break;
  }
}

void World::StrikeSession(Slot& slot, Mishap mishap) {
  Session* session = slot.session;
  if (mishap == Mishap::kKill) {
    Say(fmt::format("machine {}: SIGKILL", slot.number));
    scheduler_.Kill(session->process);
    return;
  }
  Say(fmt::format("machine {}: SIGTERM", slot.number));
  session->memory->worker.RequestStop();
  scheduler_.After(1000 * scenario_.worker.stop_grace_ms + kKillAfterGraceUs,
                   [this, &slot, session] {
                     if (slot.session != session) return;
                     Say(fmt::format("machine {}: SIGKILL after the grace period", slot.number));
                     scheduler_.Kill(session->process);
                   });
}

// The faults are over: of those that left, as many come back as are needed, or all.
void World::ReviveEverybody() {
  Say("the faults are over");
  const bool all = fortune_.Below(2) == 0;
  bool somebody = std::ranges::any_of(slots_, [](const Slot& slot) { return !slot.gone; });
  for (Slot& slot : slots_) {
    if (!slot.gone || slot.complete || (somebody && !all)) continue;
    slot.gone = false;
    somebody = true;
    ScheduleStart(slot, scheduler_.now_us() + slot.plan.restart_us);
  }
}

bool World::EverybodyGone() const {
  return std::ranges::all_of(slots_, [](const Slot& slot) { return slot.gone; });
}

void World::CheckLiveness() {
  if (!report_.failure.empty() || EverybodyGone()) return;
  const int64_t committed = oracle_ ? oracle_->committed_count() : work_.committed_units;
  Fail(fmt::format(
      "the work is not done {:.0f} s after the end of all faults: {} of {} units are "
      "committed; {}",
      Seconds(scheduler_.now_us() - scenario_.faults_end_us), committed, report_.unit_count,
      scheduler_.idle() ? "everybody waits for ever" : "still busy"));
}

// Whoever comes last finds everything in order.
void World::RunFinalWorker() {
  Slot& slot = slots_.emplace_back(SlotPlan{});
  slot.number = static_cast<int64_t>(slots_.size()) - 1;
  StartSession(slot);
  constexpr int64_t kEnoughUs = 600'000'000;
  scheduler_.Run(scheduler_.now_us() + kEnoughUs);
  if (report_.failure.empty() && !slot.complete) Fail("a late worker finds the run incomplete");
}

WorldReport World::Turn() {
  scheduler_.Run(scenario_.deadline_us);
  CheckLiveness();
  // Without a manifest nobody concludes the run.
  if (report_.failure.empty() && options_.checks && scenario_.worker.writes_manifest) {
    scheduler_.Run();  // whatever is still on its way
    if (report_.failure.empty()) RunFinalWorker();
    if (report_.failure.empty()) oracle_->CheckFinished();
  }
  if (oracle_) report_.innocents_set_aside = oracle_->innocent_count();
  report_.requests = network_.counts();
  report_.work = work_;
  report_.events = scheduler_.event_count();
  report_.makespan_over_ideal = report_.finished_at_seconds / Seconds(scenario_.IdealUs());
  return report_;
}

}  // namespace thresher::sim
