#include "extract/feeder.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "base/byte_size.h"
#include "extract/unit_job.h"
#include "work/keys.h"

namespace thresher {

void Feeder::Run() {
  context_.NameThread("feeder");
  constexpr int64_t kLeastLeadUs = 2'000'000;
  int64_t units_fed = 0;
  int64_t batches_in_hand = 0;
  int64_t lead_us = kLeastLeadUs;
  while (context_.Wait([&] { return fed_.WaitForRoom(); })) {
    WaitUntilNeeded(units_fed, batches_in_hand, lead_us);
    const std::optional<Ledger::Claimed> claimed = ClaimOrWait();
    if (!claimed) break;
    const int64_t begin_us = worker_.clock.MonotonicUs();
    UnitPointer unit = Tokenise(*claimed);
    if (!unit) continue;
    lead_us = std::max(kLeastLeadUs, 4 * (worker_.clock.MonotonicUs() - begin_us));
    batches_in_hand = static_cast<int64_t>(unit->job.batches.size());
    if (!fed_.Push(std::move(unit))) break;
    ++units_fed;
  }
  fed_.Close();
}

// The engine has just taken a unit of so many batches. The next one is claimed only shortly before
// it is done: until then anybody may have it, and a worker that dies takes no second one with it.
void Feeder::WaitUntilNeeded(int64_t units_fed, int64_t batches_in_hand, int64_t lead_us) const {
  const TraceSpan span(worker_.trace, "wait");
  constexpr int64_t kStepMs = 20;
  const int64_t begin_us = worker_.clock.MonotonicUs();
  const auto is_early = [&] {
    if (pace_.units_asked_for > units_fed) return false;  // the engine has nothing to do
    return pace_.batch_us == 0 ||
           worker_.clock.MonotonicUs() + lead_us < begin_us + batches_in_hand * pace_.batch_us;
  };
  while (!context_.Stopping() && is_early()) worker_.clock.SleepMs(kStepMs);
}

// Nothing when the run is done or the worker stops.
std::optional<Ledger::Claimed> Feeder::ClaimOrWait() {
  const TraceSpan span(worker_.trace, "claim");
  int64_t failures = 0;
  const int64_t begin_ms = worker_.clock.MonotonicMs();
  while (!context_.Stopping()) {
    const int64_t ended_before = context_.units_ended();
    const Result<Ledger::Step> step = worker_.ledger.Next();
    worker_.progress.run_units_finished = worker_.ledger.finished_count();
    if (step.ok()) {
      switch (step->kind) {
        case Ledger::Step::Kind::kClaimed:
          ++units_claimed_;
          worker_.log.Info("claimed",
                           {UnitField(step->claimed.unit), {"epoch", step->claimed.epoch}});
          return step->claimed;
        case Ledger::Step::Kind::kDone:
          found_run_complete_ = true;
          return std::nullopt;
        case Ledger::Step::Kind::kWait:
          failures = 0;
          SayWhatIsAwaited(begin_ms);
          context_.SleepWhile(step->wait_ms,
                              [&] { return context_.units_ended() == ended_before; });
          continue;
      }
    }
    const Status& status = step.status();
    worker_.progress.SetLastError(status.message());
    worker_.log.Warning("cannot claim a unit: " + status.message());
    if (++failures >= context_.options.max_consecutive_failures) {
      context_.GiveUp(status.WithContext("claiming a unit"));
      return std::nullopt;
    }
    context_.SleepUnlessStopping(context_.options.idle_poll_ms * failures);
  }
  return std::nullopt;
}

void Feeder::SayWhatIsAwaited(int64_t waiting_since_ms) {
  // Where others are about to finish there is nothing to tell.
  constexpr int64_t kSoonMs = 5'000;
  const bool has_work = context_.units_ended() < units_claimed_;
  const bool is_long = worker_.clock.MonotonicMs() - waiting_since_ms > kSoonMs;
  if (said_what_is_awaited_ || has_work || !is_long) return;
  said_what_is_awaited_ = true;
  const int64_t left = worker_.run.plan.unit_count() - worker_.ledger.finished_count();
  worker_.log.Notice("waiting: the " + std::to_string(left) +
                     " units that are left are held by workers. Those of a worker that was killed "
                     "are taken over once it has been silent for " +
                     FormatDuration(worker_.ledger.options().lease_ttl_ms) + " (--lease-ttl)");
}

// Null, with the claim ended, if the data set could not be read.
UnitPointer Feeder::Tokenise(const Ledger::Claimed& claimed) {
  const TraceSpan span(worker_.trace, "unit", claimed.unit);
  worker_.progress.Hold(claimed.unit);
  if (claimed.epoch > 1) ++worker_.progress.units_taken_over;
  Result<UnitJob> job = TokeniseUnit(worker_.samples, claimed.unit, claimed.epoch,
                                     worker_.run.plan.Samples(claimed.unit), worker_.trace);
  if (!job.ok()) {
    UnitJob unread;
    unread.unit = claimed.unit;
    unread.epoch = claimed.epoch;
    UnitInFlight unit(std::move(unread));
    context_.FailUnit(unit, LeaseEnd::kReleased, job.status().WithContext("reading the data set"));
    return nullptr;
  }
  if (context_.options.fail_on_bad_sample && !job->rejected.empty()) {
    const RejectedSample& bad = job->rejected.front();
    const Status status = InvalidArgument("sample " + std::to_string(bad.sample) +
                                          " cannot be used (--on-bad-sample fail): " + bad.reason);
    context_.GiveUp(status);
    UnitInFlight unit(*std::move(job));
    context_.FailUnit(unit, LeaseEnd::kReleased, status);
    return nullptr;
  }
  auto unit = std::make_shared<UnitInFlight>(*std::move(job));
  unit->job.batches =
      PackBatches(unit->job.sequence_offsets, worker_.engine.info().max_batch_tokens);
  for (const RejectedSample& rejected : unit->job.rejected) {
    worker_.log.Warning(
        "sample " + std::to_string(rejected.sample) + " rejected: " + rejected.reason,
        {UnitField(unit->job.unit)});
  }
  return unit;
}

}  // namespace thresher
