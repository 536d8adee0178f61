#include "sim/sim_worker.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "extract/handover.h"
#include "extract/retry.h"
#include "sim/product_api.h"
#include "work/keys.h"

namespace thresher::sim {

void SimWorker::Run() {
  const Status status = Work();
  exit_ = !status.ok() ? Exit::kError : complete_ ? Exit::kComplete : Exit::kStopped;
  Say("ends: " +
      (status.ok() ? std::string(complete_ ? "complete" : "stopped") : status.message()));
}

Status SimWorker::OpenRun() {
  if (p_.shared_run != nullptr) {
    run_ = p_.shared_run;
    return p_.store.GetText(kRunKey).status();
  }
  ASSIGN_OR_RETURN(thresher::Run run, sim::OpenRun(p_.store, p_.workload));
  own_run_.emplace(std::move(run));
  run_ = &*own_run_;
  return OkStatus();
}

Status SimWorker::Work() {
  RETURN_IF_ERROR(OpenRun());
  ledger_.emplace(p_.store, p_.clock, *run_,
                  LedgerOptions(p_.worker_id, p_.session, settings_.worker_count,
                                settings_.lease_ttl_ms, settings_.idle_poll_ms));
  RETURN_IF_ERROR(WithRetries(p_.clock, {}, [&] { return Beat("running"); }));
  p_.scheduler.Spawn(p_.process, [this] { BeatUntilDone(); });
  p_.scheduler.Spawn(p_.process, [this] { Feed(); });
  p_.scheduler.Spawn(p_.process, [this] { Upload(); });
  while (true) {
    ++units_asked_for_;
    changed_.NotifyAll();
    while (!fed_ && !feeder_done_) changed_.Wait();
    if (!fed_) break;
    Unit unit = *std::exchange(fed_, std::nullopt);
    changed_.NotifyAll();
    if (Stopping()) {
      FailUnit(unit, LeaseEnd::kReleased, Cancelled("the worker stopped before it began"));
    } else {
      Compute(unit);
    }
  }
  engine_done_ = true;
  changed_.NotifyAll();
  while (!uploader_done_ || !beat_done_) changed_.Wait();
  (void)Beat("stopped");
  if (gave_up_) return last_error_;
  if (!complete_ || !settings_.writes_manifest) return OkStatus();
  ASSIGN_OR_RETURN(complete_, Conclude(p_.store, p_.clock, *run_,
                                       {.worker_id = p_.worker_id,
                                        .session = p_.session,
                                        .lease_ttl_ms = settings_.lease_ttl_ms,
                                        .idle_poll_ms = settings_.idle_poll_ms,
                                        .should_stop = [this] { return stop_requested_; }}));
  return OkStatus();
}

// --- feeder ---

void SimWorker::Feed() {
  for (int64_t units_fed = 0;; ++units_fed) {
    while (fed_) changed_.Wait();
    WaitUntilNeeded(units_fed);
    const std::optional<Ledger::Claimed> claimed = ClaimOrWait();
    if (!claimed) break;
    held_.insert(claimed->unit);
    Say("claimed " + UnitName(claimed->unit) + " e" + std::to_string(claimed->epoch));
    fed_ = Unit{*claimed};
    changed_.NotifyAll();
  }
  feeder_done_ = true;
  changed_.NotifyAll();
}

// The engine has just taken a unit; the next one is claimed shortly before it is done.
void SimWorker::WaitUntilNeeded(int64_t units_fed) {
  constexpr int64_t kLeadUs = 2'000'000;
  const int64_t begin_us = p_.clock.MonotonicUs();
  while (!Stopping() && units_asked_for_ <= units_fed) {
    const int64_t claim_us = begin_us + p_.workload.batches_per_unit * batch_us_ - kLeadUs;
    if (batch_us_ > 0 && p_.clock.MonotonicUs() >= claim_us) return;
    changed_.Wait(batch_us_ > 0 ? p_.clock.TrueTimeUs(claim_us) : kNever);
  }
}

std::optional<Ledger::Claimed> SimWorker::ClaimOrWait() {
  int64_t failures = 0;
  while (!Stopping()) {
    const int64_t ended_before = units_ended_;
    const Result<Step> step = NextStep(*ledger_);
    if (step.ok()) {
      failures = 0;
      if (step->kind == Step::Kind::kClaimed) return step->claimed;
      if (step->kind == Step::Kind::kDone) {
        complete_ = true;
        return std::nullopt;
      }
      p_.protocol.WhileWaiting(p_.store, *run_);
      const int64_t until_us = InMs(step->wait_ms);
      while (!Stopping() && units_ended_ == ended_before && p_.scheduler.now_us() < until_us) {
        changed_.Wait(until_us);
      }
      continue;
    }
    Say("cannot claim: " + step.status().message());
    if (++failures >= settings_.max_consecutive_failures) {
      GiveUp(step.status());
      return std::nullopt;
    }
    const int64_t until_us = InMs(settings_.idle_poll_ms * failures);
    while (!Stopping() && p_.scheduler.now_us() < until_us) changed_.Wait(until_us);
  }
  return std::nullopt;
}

// --- engine ---

void SimWorker::Compute(Unit unit) {
  while (arenas_in_use_ >= settings_.arenas) changed_.Wait();
  ++arenas_in_use_;
  if (unit.claimed.epoch > 1) unit.batches_done = LoadHandover(unit.claimed.unit);
  const int64_t batches = p_.workload.batches_per_unit;
  while (unit.batches_done < batches) {
    while (!Stopping() && ledger_->MillisecondsSinceBeat() > settings_.lease_ttl_ms / 2) {
      changed_.Wait(InMs(settings_.idle_poll_ms));
    }
    if (Stopping() && !WorthFinishing(batches - unit.batches_done)) break;
    const Status status = ComputeBatch(unit, unit.batches_done);
    if (!status.ok()) {
      --arenas_in_use_;
      return FailUnit(unit, LeaseEnd::kFailed, status);
    }
    ++unit.batches_done;
  }
  unit.whole = unit.batches_done == batches;
  sealed_.push_back(unit);
  changed_.NotifyAll();
}

Status SimWorker::ComputeBatch(Unit& unit, int64_t batch) {
  auto batch_us = static_cast<int64_t>(static_cast<double>(p_.workload.unit_us) / p_.speed /
                                       static_cast<double>(p_.workload.batches_per_unit));
  const auto slow = p_.workload.slow_on_machine.find(p_.machine_number);
  if (slow != p_.workload.slow_on_machine.end() && !slow_unit_met_) {
    batch_us = static_cast<int64_t>(static_cast<double>(batch_us) * slow->second);
    slow_unit_met_ = batch + 1 == p_.workload.batches_per_unit;
  }
  const int64_t begin_us = p_.clock.MonotonicUs();
  p_.scheduler.SleepUntil(p_.scheduler.now_us() + batch_us);
  const int64_t took_us = p_.clock.MonotonicUs() - begin_us;
  batch_us_ = batch_us_ == 0 ? took_us : (3 * batch_us_ + took_us) / 4;
  changed_.NotifyAll();
  unit.computed_us += batch_us;
  p_.work_done.computed_us += batch_us;
  const Poison poison = p_.workload.PoisonOf(unit.claimed.unit);
  if (poison == Poison::kKills) DieOfPoison();
  return poison == Poison::kFails ? Internal("the engine failed") : OkStatus();
}

void SimWorker::DieOfPoison() {
  Say("dies of poison");
  p_.scheduler.After(0, [this] { p_.scheduler.Kill(p_.process); });
  p_.scheduler.PrepareToWait();
  p_.scheduler.Wait();
}

bool SimWorker::WorthFinishing(int64_t batches_left) const {
  if (gave_up_) return false;
  const int64_t elapsed_ms = p_.clock.MonotonicMs() - stop_seen_ms_;
  const int64_t batch_ms = p_.workload.unit_us / p_.workload.batches_per_unit / 1000;
  constexpr int64_t kReserveMs = 4'000;
  return elapsed_ms + batches_left * batch_ms + kReserveMs < settings_.stop_grace_ms;
}

// --- uploader ---

void SimWorker::Upload() {
  while (true) {
    while (sealed_.empty() && !engine_done_) changed_.Wait();
    if (sealed_.empty()) break;
    const Unit unit = sealed_.front();
    sealed_.pop_front();
    const Status status = unit.whole ? PublishUnit(unit) : HandOver(unit);
    if (!status.ok()) FailUnit(unit, LeaseEnd::kReleased, status);
    --arenas_in_use_;
    ++units_ended_;
    changed_.NotifyAll();
  }
  uploader_done_ = true;
  changed_.NotifyAll();
}

Status SimWorker::PublishUnit(const Unit& unit) {
  const int64_t number = unit.claimed.unit;
  const Commit commit = CommitFor(*run_, number, unit.claimed.epoch, p_.worker_id, p_.session);
  const std::string content = ShardContent(number);
  ASSIGN_OR_RETURN(const Published published,
                   p_.protocol.Publish(p_.store, p_.clock, *ledger_, commit, AsBytes(content)));
  consecutive_failures_ = 0;
  held_.erase(number);
  if (published.outcome == Ledger::CommitOutcome::kDuplicate) {
    Say("duplicate of " + UnitName(number));
    ++p_.work_done.duplicate_units;
    p_.work_done.duplicated_us += unit.computed_us;
    return OkStatus();
  }
  Say("committed " + UnitName(number));
  ++units_committed_;
  ++p_.work_done.committed_units;
  p_.work_done.useful_us += unit.computed_us;
  // The unit is done, whether or not what others left of it can be deleted.
  if (unit.claimed.epoch > 1) (void)DeleteHandovers(p_.store, number);
  return OkStatus();
}

// The number of batches that are done stands for the rows.
Status SimWorker::HandOver(const Unit& unit) {
  const auto& [number, epoch] = unit.claimed;
  if (unit.batches_done > 0) {
    const std::string done = std::to_string(unit.batches_done);
    RETURN_IF_ERROR(p_.store.Put(HandoverShardKey(number, epoch), AsBytes("rows of " + done)));
    RETURN_IF_ERROR(p_.store.Put(HandoverKey(number, epoch), AsBytes(done)));
    p_.work_done.useful_us += unit.computed_us;
  }
  held_.erase(number);
  return ledger_->EndClaim(unit.claimed, LeaseEnd::kReleased, "the worker was asked to stop");
}

int64_t SimWorker::LoadHandover(int64_t unit) {
  const auto objects = ListAll(p_.store, HandoverPrefix(unit));
  if (!objects.ok()) return 0;
  int64_t best = 0;
  for (const ObjectInfo& object : *objects) {
    if (!object.key.ends_with(".json")) continue;
    const Result<std::string> text = p_.store.GetText(object.key);
    if (text.ok()) best = std::max<int64_t>(best, std::stoll(*text));
  }
  if (best > 0) Say("goes on with " + UnitName(unit) + " after batch " + std::to_string(best));
  return best;
}

// --- failures and the heartbeat ---

void SimWorker::FailUnit(const Unit& unit, LeaseEnd end, const Status& status) {
  Say(UnitName(unit.claimed.unit) + " failed: " + status.message());
  held_.erase(unit.claimed.unit);
  (void)ledger_->EndClaim(unit.claimed, end, status.message());
  if (status.code() == Code::kCancelled) return;
  ++units_ended_;
  if (++consecutive_failures_ >= settings_.max_consecutive_failures) GiveUp(status);
  changed_.NotifyAll();
}

void SimWorker::GiveUp(const Status& status) {
  if (last_error_.ok()) last_error_ = status;
  gave_up_ = true;
  changed_.NotifyAll();
}

void SimWorker::RequestStop() {
  if (stop_requested_) return;
  stop_requested_ = true;
  stop_seen_ms_ = p_.clock.MonotonicMs();
  changed_.NotifyAll();
}

void SimWorker::BeatUntilDone() {
  int64_t next_us = p_.clock.MonotonicUs() + 1000 * settings_.beat_interval_ms;
  while (!uploader_done_) {
    if (p_.clock.MonotonicUs() < next_us) {
      changed_.Wait(p_.clock.TrueTimeUs(next_us));
      continue;
    }
    if (const Status status = Beat("running"); !status.ok()) Say("heartbeat: " + status.message());
    next_us = p_.clock.MonotonicUs() + 1000 * settings_.beat_interval_ms;
  }
  beat_done_ = true;
  changed_.NotifyAll();
}

Status SimWorker::Beat(const char* state) {
  Heartbeat heartbeat;
  heartbeat.worker_id = p_.worker_id;
  heartbeat.session = p_.session;
  heartbeat.state = state;
  heartbeat.updated_unix_ms = p_.clock.UnixMs();
  heartbeat.units_held.assign(held_.begin(), held_.end());
  heartbeat.units_committed = units_committed_;
  return ledger_->Beat(heartbeat);
}

}  // namespace thresher::sim
