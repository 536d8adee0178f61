#include "extract/engine_loop.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "extract/handover.h"
#include "work/keys.h"

namespace thresher {

// An engine may have several batches begun, of several units: it is never waited for while there is
// more to begin.
void EngineLoop::Run() {
  context_.NameThread("engine");
  while (const UnitPointer unit = NextUnit()) {
    if (context_.Stopping()) {
      context_.FailUnit(*unit, LeaseEnd::kReleased,
                        Cancelled("the worker stopped before it began"));
    } else {
      Compute(unit);
    }
  }
}

// Null when none comes any more; the engine is then empty.
UnitPointer EngineLoop::NextUnit() {
  const int64_t wait_begin_us = worker_.clock.MonotonicUs();
  ++pace_.units_asked_for;
  std::optional<UnitPointer> unit = fed_.TryPop();
  while (!unit && !in_flight_.empty()) {
    FinishOldestBatch();
    unit = fed_.TryPop();
  }
  if (!unit) unit = context_.Wait([&] { return fed_.Pop(); });
  worker_.progress.engine_wait_for_unit_us += worker_.clock.MonotonicUs() - wait_begin_us;
  return unit ? *std::move(unit) : nullptr;
}

void EngineLoop::Compute(const UnitPointer& unit) {
  const UnitJob& job = unit->job;
  const TraceSpan span(worker_.trace, "unit", job.unit);
  if (!PlaceInArena(*unit)) return;
  const int64_t sequences_done = SequencesLeftByOthers(*unit);
  for (size_t i = 0; i < job.batches.size(); ++i) {
    const BatchRange& batch = job.batches[i];
    const bool is_last = i + 1 == job.batches.size();
    if (batch.end_sequence <= sequences_done) {
      EndRows(unit, batch, is_last);
      continue;
    }
    WaitWhileHeartbeatIsStale();
    if (context_.Stopping() && !WorthFinishing(*unit, i)) {
      FinishBatches();
      if (unit->engine_status.ok()) {
        filled_.Push({unit, SealStep::kHandOver, 0, batch.first_sequence});
      }
      return;
    }
    BeginBatch(unit, batch);
    if (!unit->engine_status.ok()) return;
  }
  if (job.batches.empty()) EndUnit(unit);
}

// False, with the unit failed, if there is not so much memory.
bool EngineLoop::PlaceInArena(UnitInFlight& unit) {
  unit.builder.emplace(worker_.format, unit.job);
  // The arena that is waited for may be that of a batch in the engine.
  if (!ring_.has_free()) FinishBatches();
  const int64_t wait_begin_us = worker_.clock.MonotonicUs();
  Result<ArenaRing::Lease> arena =
      context_.Wait([&] { return ring_.Acquire(unit.builder->file_bytes()); });
  worker_.progress.engine_wait_for_arena_us += worker_.clock.MonotonicUs() - wait_begin_us;
  if (!arena.ok()) {
    context_.FailUnit(unit, LeaseEnd::kReleased, arena.status());
    return false;
  }
  unit.arena = *std::move(arena);
  unit.builder->SetMemory(unit.arena->data());
  return true;
}

// The rows of a batch are in place.
void EngineLoop::EndRows(const UnitPointer& unit, const BatchRange& batch, bool is_last) {
  const UnitJob& job = unit->job;
  const int64_t end_row = job.row_offsets[static_cast<size_t>(batch.end_sequence)];
  filled_.Push({unit, SealStep::kRows, end_row, batch.end_sequence});
  if (is_last) EndUnit(unit);
}

void EngineLoop::EndUnit(const UnitPointer& unit) {
  uploads_.Expect(unit->builder->file_bytes());
  filled_.Push({unit, SealStep::kComplete, unit->job.row_count(), unit->job.sequence_count()});
}

// Makes room in the engine's queue afterwards, so that with a queue of one a batch is done here.
void EngineLoop::BeginBatch(const UnitPointer& unit, const BatchRange& batch) {
  const int64_t first_row = unit->job.row_offsets[static_cast<size_t>(batch.first_sequence)];
  const EngineBatch engine_batch(unit->job, batch);
  const PackedBatch packed = engine_batch.packed();
  const int64_t begin_us = worker_.clock.MonotonicUs();
  const Status status = [&] {
    const TraceSpan span(worker_.trace, "forward", unit->job.unit);
    return worker_.engine.Submit(packed, unit->builder->Outputs(first_row));
  }();
  if (!status.ok()) {
    FinishBatches();
    if (!unit->engine_status.ok()) return;  // an earlier batch of it failed, and ended it
    unit->engine_status = status;
    return context_.FailUnit(*unit, LeaseEnd::kFailed, status);
  }
  in_flight_.push_back({.unit = unit,
                        .range = batch,
                        .is_last = batch.end_sequence == unit->job.sequence_count(),
                        .token_count = packed.token_count(),
                        .row_count = packed.row_count(),
                        .begin_us = begin_us});
  while (in_flight_.size() >= worker_.engine.queue_depth()) FinishOldestBatch();
}

void EngineLoop::FinishOldestBatch() {
  const BatchInFlight batch = std::move(in_flight_.front());
  in_flight_.pop_front();
  const Status status = [&] {
    const TraceSpan span(worker_.trace, "forward", batch.unit->job.unit);
    return worker_.engine.Finish();
  }();
  // Of its own: batches that were begun before it took the time before.
  const int64_t now_us = worker_.clock.MonotonicUs();
  const int64_t took_us = now_us - std::max(batch.begin_us, last_finish_us_);
  last_finish_us_ = now_us;
  UnitInFlight& unit = *batch.unit;
  if (unit.engine_status.ok()) unit.engine_status = status;
  if (unit.engine_status.ok()) {
    pace_.batch_us = pace_.batch_us == 0 ? took_us : (3 * pace_.batch_us + took_us) / 4;
    worker_.progress.engine_busy_us += took_us;
    worker_.progress.tokens_computed += batch.token_count;
    worker_.progress.rows_computed += batch.row_count;
    worker_.progress.progressed_unix_ms = worker_.clock.UnixMs();
    return EndRows(batch.unit, batch.range, batch.is_last);
  }
  const bool has_more = std::any_of(in_flight_.begin(), in_flight_.end(),
                                    [&](const auto& other) { return other.unit == batch.unit; });
  if (!has_more) context_.FailUnit(unit, LeaseEnd::kFailed, unit.engine_status);
}

void EngineLoop::FinishBatches() {
  while (!in_flight_.empty()) FinishOldestBatch();
}

// Takes over what an earlier session has left of the unit: a whole shard that it could not upload,
// or what it handed over. The number of sequences that need not be computed.
int64_t EngineLoop::SequencesLeftByOthers(UnitInFlight& unit) {
  const int64_t spooled =
      worker_.spool ? worker_.spool->Load(worker_.format, unit.job, *unit.builder) : 0;
  if (spooled > 0) {
    ++worker_.progress.units_adopted;
    worker_.log.Warning(
        UnitName(unit.job.unit) + ": an earlier upload failed; its local copy is used",
        {UnitField(unit.job.unit)});
    return spooled;
  }
  if (unit.job.epoch == 1) return 0;
  const Result<int64_t> handed_over =
      LoadHandover(worker_.store, worker_.format, unit.job, *unit.builder);
  return handed_over.ok() ? *handed_over : 0;
}

// After a stop request: can the rest of the unit be computed and uploaded inside the grace period?
bool EngineLoop::WorthFinishing(const UnitInFlight& unit, size_t next_batch) const {
  if (context_.gave_up()) return false;
  const int64_t seen_ms =
      context_.stop_seen_ms >= 0 ? context_.stop_seen_ms.load() : worker_.clock.MonotonicMs();
  const int64_t elapsed_ms = worker_.clock.MonotonicMs() - seen_ms;
  const auto remaining = static_cast<int64_t>(unit.job.batches.size() - next_batch);
  const int64_t upload_ms = uploads_.EstimatedMs(unit.builder->file_bytes());
  constexpr int64_t kReserveMs = 2'000;
  return elapsed_ms + remaining * pace_.batch_us / 1000 + upload_ms + kReserveMs <
         context_.options.stop_grace_ms;
}

// A worker whose heartbeat does not get through may have lost its leases: going on would be work
// done twice. (Exactness does not depend on this.) After three times to live it gives up.
void EngineLoop::WaitWhileHeartbeatIsStale() {
  const int64_t ttl_ms = worker_.ledger.options().lease_ttl_ms;
  if (worker_.ledger.MillisecondsSinceBeat() <= ttl_ms / 2) return;
  const TraceSpan span(worker_.trace, "wait");
  while (!context_.Stopping() && worker_.ledger.MillisecondsSinceBeat() > ttl_ms / 2) {
    const int64_t failing_since_ms = context_.beats_fail_since_ms;
    if (failing_since_ms >= 0 && worker_.clock.MonotonicMs() - failing_since_ms > 3 * ttl_ms) {
      return context_.GiveUp(Unavailable("no heartbeat has got through for " +
                                         std::to_string(3 * ttl_ms / 1000) +
                                         " s; the last error: " + worker_.progress.LastError()));
    }
    context_.SleepUnlessStopping(context_.options.idle_poll_ms);
  }
}

}  // namespace thresher
