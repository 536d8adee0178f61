#include "extract/worker.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/bounded_queue.h"
#include "extract/arena.h"
#include "extract/handover.h"
#include "extract/retry.h"
#include "extract/unit_in_flight.h"
#include "extract/unit_job.h"
#include "extract/uploader.h"
#include "work/keys.h"

namespace thresher {
namespace {

enum class SealStep { kRows, kComplete, kHandOver };

// From the engine to the sealer: rows up to `end_row` are in place, and what to do after them.
struct SealRequest {
  UnitPointer unit;
  SealStep step = SealStep::kRows;
  int64_t end_row = 0;
  int64_t end_sequence = 0;
};

// A batch that the engine has begun. The unit's arena stays until it is finished.
struct BatchInFlight {
  UnitPointer unit;
  BatchRange range;
  bool is_last;  // of the unit
  int64_t token_count;
  int64_t row_count;
  int64_t begin_us;
};

struct UploadRequest {
  UnitPointer unit;
  std::optional<int64_t> hand_over_sequences;  // nothing: the whole unit
};

}  // namespace

class Worker::Pipeline {
 public:
  Pipeline(Parts& parts, const Options& options)
      : p_(parts),
        options_(options),
        uploader_({.store = parts.store,
                   .clock = parts.clock,
                   .ledger = parts.ledger,
                   .format = parts.format,
                   .progress = parts.progress,
                   .spool = parts.spool,
                   .log = parts.log},
                  {.trace = parts.trace}),
        ring_(options.arenas) {}

  Result<Outcome> Run();

 private:
  void Feed();
  void WaitUntilNeeded(int64_t units_fed, int64_t batches_in_hand, int64_t lead_us);
  std::optional<Ledger::Claimed> ClaimOrWait();
  UnitPointer Tokenise(const Ledger::Claimed& claimed);
  void RunEngine();
  void Compute(const UnitPointer& unit);
  int64_t SequencesLeftByOthers(UnitInFlight& unit);
  void BeginBatch(const UnitPointer& unit, const BatchRange& batch);
  void FinishOldestBatch();
  void FinishBatches();
  void EndRows(const UnitPointer& unit, const BatchRange& batch, bool is_last);
  bool WorthFinishing(const UnitInFlight& unit, size_t next_batch) const;
  void WaitWhileHeartbeatIsStale();
  void Seal();
  void Upload();
  void BeatUntilDone();
  Status Beat(const char* state);

  void NameThread(const char* name) {
    if (p_.trace) p_.trace->NameThread(name);
  }
  // The pipeline's waits, as the trace shows them.
  bool WaitForRoom() {
    const TraceSpan span(p_.trace, "wait");
    return fed_.WaitForRoom();
  }
  template <typename T>
  std::optional<T> Pop(BoundedQueue<T>& queue) {
    const TraceSpan span(p_.trace, "wait");
    return queue.Pop();
  }
  Result<ArenaRing::Lease> AcquireArena(int64_t bytes) {
    const TraceSpan span(p_.trace, "wait");
    return ring_.Acquire(bytes);
  }
  void WriteRest(UnitInFlight& unit) {
    const TraceSpan span(p_.trace, "write", unit.job.unit);
    unit.builder->Finish();
  }

  void FailUnit(UnitInFlight& unit, LeaseEnd end, const Status& status);
  void GiveUp(const Status& status);
  bool Stopping() const { return p_.stop.requested() || gave_up_.load(); }
  // Returns early when the worker is asked to stop.
  void SleepUnlessStopping(int64_t duration_ms) {
    SleepWhile(duration_ms, [] { return true; });
  }
  // Returns early when `condition` ends to hold, too.
  void SleepWhile(int64_t duration_ms, const std::function<bool()>& condition);

  Parts& p_;
  const Options& options_;
  Uploader uploader_;
  ArenaRing ring_;
  std::deque<BatchInFlight> in_flight_;  // in the engine, the oldest first; the engine thread's
  int64_t last_finish_us_ = 0;
  BoundedQueue<UnitPointer> fed_{1};
  BoundedQueue<SealRequest> filled_{64};
  BoundedQueue<UploadRequest> sealed_{8};

  std::atomic<bool> gave_up_{false};
  std::atomic<bool> complete_{false};
  std::atomic<int64_t> units_ended_{0};  // of ours, whatever came of them
  std::atomic<int64_t> consecutive_failures_{0};
  std::atomic<int64_t> batch_us_{0};         // moving mean of a forward pass
  std::atomic<int64_t> units_asked_for_{0};  // by the engine
  std::atomic<int64_t> bytes_to_upload_{0};  // of units that are computed
  std::atomic<int64_t> stop_seen_ms_{-1};
  std::atomic<int64_t> beats_fail_since_ms_{-1};  // -1: the last one got through
  std::atomic<bool> beats_at_once_{false};        // whoever watches is to hear of a failure soon
  RateMeter computed_{60'000};                    // by Beat alone: tokens
  RateMeter uploaded_{300'000};                   // by Beat alone: bytes of shards
  std::mutex error_mutex_;
  Status last_error_;
  std::mutex beat_mutex_;
  std::condition_variable beat_wakeup_;
  bool pipeline_done_ = false;
};

Result<Worker::Outcome> Worker::Run() { return Pipeline(parts_, options_).Run(); }

Result<Worker::Outcome> Worker::Pipeline::Run() {
  RETURN_IF_ERROR(WithRetries(p_.clock, RetryPolicy(), [&] {
                    return Beat("running");
                  }).WithContext("writing the first heartbeat"));
  std::thread beat([&] { BeatUntilDone(); });
  std::thread feeder([&] { Feed(); });
  std::thread sealer([&] { Seal(); });
  std::thread uploader([&] { Upload(); });
  NameThread("engine");
  RunEngine();
  feeder.join();
  filled_.Close();
  sealer.join();
  sealed_.Close();
  uploader.join();
  {
    std::lock_guard lock(beat_mutex_);
    pipeline_done_ = true;
  }
  beat_wakeup_.notify_all();
  beat.join();
  const Status last_beat = Beat("stopped");
  if (!last_beat.ok()) p_.log.Warning("last heartbeat: " + last_beat.message());
  p_.report();
  if (gave_up_) {
    std::lock_guard lock(error_mutex_);
    return last_error_;
  }
  return complete_ ? Outcome::kComplete : Outcome::kStopped;
}

// --- feeder ---

void Worker::Pipeline::Feed() {
  NameThread("feeder");
  constexpr int64_t kLeastLeadUs = 2'000'000;
  int64_t units_fed = 0;
  int64_t batches_in_hand = 0;
  int64_t lead_us = kLeastLeadUs;
  while (WaitForRoom()) {
    WaitUntilNeeded(units_fed, batches_in_hand, lead_us);
    const std::optional<Ledger::Claimed> claimed = ClaimOrWait();
    if (!claimed) break;
    const int64_t begin_us = p_.clock.MonotonicUs();
    UnitPointer unit = Tokenise(*claimed);
    if (!unit) continue;
    lead_us = std::max(kLeastLeadUs, 4 * (p_.clock.MonotonicUs() - begin_us));
    batches_in_hand = static_cast<int64_t>(unit->job.batches.size());
    if (!fed_.Push(std::move(unit))) break;
    ++units_fed;
  }
  fed_.Close();
}

// The engine has just taken a unit of so many batches. The next one is claimed only shortly before
// it is done: until then anybody may have it, and a worker that dies takes no second one with it.
void Worker::Pipeline::WaitUntilNeeded(int64_t units_fed, int64_t batches_in_hand,
                                       int64_t lead_us) {
  const TraceSpan span(p_.trace, "wait");
  constexpr int64_t kStepMs = 20;
  const int64_t begin_us = p_.clock.MonotonicUs();
  const auto is_early = [&] {
    if (units_asked_for_ > units_fed) return false;  // the engine has nothing to do
    return batch_us_ == 0 ||
           p_.clock.MonotonicUs() + lead_us < begin_us + batches_in_hand * batch_us_;
  };
  while (!Stopping() && is_early()) p_.clock.SleepMs(kStepMs);
}

// Nothing when the run is done or the worker stops.
std::optional<Ledger::Claimed> Worker::Pipeline::ClaimOrWait() {
  const TraceSpan span(p_.trace, "claim");
  int64_t failures = 0;
  while (!Stopping()) {
    const int64_t ended_before = units_ended_;
    const Result<Ledger::Step> step = p_.ledger.Next();
    p_.progress.run_units_finished = p_.ledger.finished_count();
    if (step.ok()) {
      switch (step->kind) {
        case Ledger::Step::Kind::kClaimed:
          p_.log.Info("claimed", {UnitField(step->claimed.unit), {"epoch", step->claimed.epoch}});
          return step->claimed;
        case Ledger::Step::Kind::kDone:
          complete_ = true;
          return std::nullopt;
        case Ledger::Step::Kind::kWait:
          failures = 0;
          SleepWhile(step->wait_ms, [&] { return units_ended_ == ended_before; });
          continue;
      }
    }
    const Status& status = step.status();
    p_.progress.SetLastError(status.message());
    p_.log.Warning("cannot claim a unit: " + status.message());
    if (++failures >= options_.max_consecutive_failures) {
      GiveUp(status.WithContext("claiming a unit"));
      return std::nullopt;
    }
    SleepUnlessStopping(options_.idle_poll_ms * failures);
  }
  return std::nullopt;
}

// Null, with the claim ended, if the data set could not be read.
UnitPointer Worker::Pipeline::Tokenise(const Ledger::Claimed& claimed) {
  const TraceSpan span(p_.trace, "unit", claimed.unit);
  p_.progress.Hold(claimed.unit);
  if (claimed.epoch > 1) ++p_.progress.units_taken_over;
  Result<UnitJob> job = TokeniseUnit(p_.samples, claimed.unit, claimed.epoch,
                                     p_.run.plan.Samples(claimed.unit), p_.trace);
  if (!job.ok()) {
    UnitJob unread;
    unread.unit = claimed.unit;
    unread.epoch = claimed.epoch;
    UnitInFlight unit(std::move(unread));
    FailUnit(unit, LeaseEnd::kReleased, job.status().WithContext("reading the data set"));
    return nullptr;
  }
  if (options_.fail_on_bad_sample && !job->rejected.empty()) {
    const RejectedSample& bad = job->rejected.front();
    const Status status = InvalidArgument("sample " + std::to_string(bad.sample) +
                                          " cannot be used (--on-bad-sample fail): " + bad.reason);
    GiveUp(status);
    UnitInFlight unit(*std::move(job));
    FailUnit(unit, LeaseEnd::kReleased, status);
    return nullptr;
  }
  auto unit = std::make_shared<UnitInFlight>(*std::move(job));
  unit->job.batches = PackBatches(unit->job.sequence_offsets, p_.engine.info().max_batch_tokens);
  for (const RejectedSample& rejected : unit->job.rejected) {
    p_.log.Warning("sample " + std::to_string(rejected.sample) + " rejected: " + rejected.reason,
                   {UnitField(unit->job.unit)});
  }
  return unit;
}

// --- engine ---

// An engine may have several batches begun, of several units: it is never waited for while there is
// more to begin.
void Worker::Pipeline::RunEngine() {
  while (true) {
    const int64_t wait_begin_us = p_.clock.MonotonicUs();
    ++units_asked_for_;
    std::optional<UnitPointer> unit;
    while (!(unit = in_flight_.empty() ? Pop(fed_) : fed_.TryPop()) && !in_flight_.empty()) {
      FinishOldestBatch();
    }
    p_.progress.engine_wait_for_unit_us += p_.clock.MonotonicUs() - wait_begin_us;
    if (!unit) return;
    if (Stopping()) {
      FailUnit(**unit, LeaseEnd::kReleased, Cancelled("the worker stopped before it began"));
    } else {
      Compute(*unit);
    }
  }
}

void Worker::Pipeline::Compute(const UnitPointer& unit) {
  const UnitJob& job = unit->job;
  const TraceSpan span(p_.trace, "unit", job.unit);
  unit->builder.emplace(p_.format, job);
  // The arena that is waited for may be that of a batch in the engine.
  if (!ring_.has_free()) FinishBatches();
  const int64_t wait_begin_us = p_.clock.MonotonicUs();
  Result<ArenaRing::Lease> arena = AcquireArena(unit->builder->file_bytes());
  p_.progress.engine_wait_for_arena_us += p_.clock.MonotonicUs() - wait_begin_us;
  if (!arena.ok()) return FailUnit(*unit, LeaseEnd::kReleased, arena.status());
  unit->arena = *std::move(arena);
  unit->builder->SetMemory(unit->arena->data());

  const int64_t sequences_done = SequencesLeftByOthers(*unit);
  for (size_t i = 0; i < job.batches.size(); ++i) {
    const BatchRange& batch = job.batches[i];
    const bool is_last = i + 1 == job.batches.size();
    if (batch.end_sequence <= sequences_done) {
      EndRows(unit, batch, is_last);
      continue;
    }
    WaitWhileHeartbeatIsStale();
    if (Stopping() && !WorthFinishing(*unit, i)) {
      FinishBatches();
      if (unit->engine_status.ok()) {
        filled_.Push({unit, SealStep::kHandOver, 0, batch.first_sequence});
      }
      return;
    }
    BeginBatch(unit, batch);
    if (!unit->engine_status.ok()) return;
  }
  if (job.batches.empty()) {
    bytes_to_upload_ += unit->builder->file_bytes();
    filled_.Push({unit, SealStep::kComplete, job.row_count(), job.sequence_count()});
  }
}

// The rows of a batch are in place.
void Worker::Pipeline::EndRows(const UnitPointer& unit, const BatchRange& batch, bool is_last) {
  const UnitJob& job = unit->job;
  const int64_t end_row = job.row_offsets[static_cast<size_t>(batch.end_sequence)];
  filled_.Push({unit, SealStep::kRows, end_row, batch.end_sequence});
  if (!is_last) return;
  bytes_to_upload_ += unit->builder->file_bytes();
  filled_.Push({unit, SealStep::kComplete, job.row_count(), job.sequence_count()});
}

// Makes room in the engine's queue afterwards, so that with a queue of one a batch is done here.
void Worker::Pipeline::BeginBatch(const UnitPointer& unit, const BatchRange& batch) {
  const int64_t first_row = unit->job.row_offsets[static_cast<size_t>(batch.first_sequence)];
  const EngineBatch engine_batch(unit->job, batch);
  const PackedBatch packed = engine_batch.packed();
  const int64_t begin_us = p_.clock.MonotonicUs();
  const Status status = [&] {
    const TraceSpan span(p_.trace, "forward", unit->job.unit);
    return p_.engine.Submit(packed, unit->builder->Outputs(first_row));
  }();
  if (!status.ok()) {
    FinishBatches();
    if (!unit->engine_status.ok()) return;  // an earlier batch of it failed, and ended it
    unit->engine_status = status;
    return FailUnit(*unit, LeaseEnd::kFailed, status);
  }
  in_flight_.push_back({.unit = unit,
                        .range = batch,
                        .is_last = batch.end_sequence == unit->job.sequence_count(),
                        .token_count = packed.token_count(),
                        .row_count = packed.row_count(),
                        .begin_us = begin_us});
  while (in_flight_.size() >= p_.engine.queue_depth()) FinishOldestBatch();
}

void Worker::Pipeline::FinishOldestBatch() {
  const BatchInFlight batch = std::move(in_flight_.front());
  in_flight_.pop_front();
  const Status status = [&] {
    const TraceSpan span(p_.trace, "forward", batch.unit->job.unit);
    return p_.engine.Finish();
  }();
  // Of its own: batches that were begun before it took the time before.
  const int64_t now_us = p_.clock.MonotonicUs();
  const int64_t took_us = now_us - std::max(batch.begin_us, last_finish_us_);
  last_finish_us_ = now_us;
  UnitInFlight& unit = *batch.unit;
  if (unit.engine_status.ok()) unit.engine_status = status;
  if (unit.engine_status.ok()) {
    batch_us_ = batch_us_ == 0 ? took_us : (3 * batch_us_ + took_us) / 4;
    p_.progress.engine_busy_us += took_us;
    p_.progress.tokens_computed += batch.token_count;
    p_.progress.rows_computed += batch.row_count;
    p_.progress.progressed_unix_ms = p_.clock.UnixMs();
    return EndRows(batch.unit, batch.range, batch.is_last);
  }
  const bool has_more = std::any_of(in_flight_.begin(), in_flight_.end(),
                                    [&](const auto& other) { return other.unit == batch.unit; });
  if (!has_more) FailUnit(unit, LeaseEnd::kFailed, unit.engine_status);
}

void Worker::Pipeline::FinishBatches() {
  while (!in_flight_.empty()) FinishOldestBatch();
}

// Takes over what an earlier session has left of the unit: a whole shard that it could not upload,
// or what it handed over. The number of sequences that need not be computed.
int64_t Worker::Pipeline::SequencesLeftByOthers(UnitInFlight& unit) {
  const int64_t spooled = p_.spool ? p_.spool->Load(p_.format, unit.job, *unit.builder) : 0;
  if (spooled > 0) {
    ++p_.progress.units_adopted;
    p_.log.Warning(UnitName(unit.job.unit) + ": an earlier upload failed; its local copy is used",
                   {UnitField(unit.job.unit)});
    return spooled;
  }
  if (unit.job.epoch == 1) return 0;
  const Result<int64_t> handed_over = LoadHandover(p_.store, p_.format, unit.job, *unit.builder);
  return handed_over.ok() ? *handed_over : 0;
}

// After a stop request: can the rest of the unit be computed and uploaded inside the grace period?
bool Worker::Pipeline::WorthFinishing(const UnitInFlight& unit, size_t next_batch) const {
  if (gave_up_) return false;
  const int64_t seen_ms = stop_seen_ms_ >= 0 ? stop_seen_ms_.load() : p_.clock.MonotonicMs();
  const int64_t elapsed_ms = p_.clock.MonotonicMs() - seen_ms;
  const auto remaining = static_cast<int64_t>(unit.job.batches.size() - next_batch);
  const int64_t upload_ms =
      uploader_.EstimatedUploadMs(bytes_to_upload_ + unit.builder->file_bytes());
  constexpr int64_t kReserveMs = 2'000;
  return elapsed_ms + remaining * batch_us_ / 1000 + upload_ms + kReserveMs <
         options_.stop_grace_ms;
}

// A worker whose heartbeat does not get through may have lost its leases: going on would be work
// done twice. (Exactness does not depend on this.) After three times to live it gives up.
void Worker::Pipeline::WaitWhileHeartbeatIsStale() {
  const int64_t ttl_ms = p_.ledger.options().lease_ttl_ms;
  if (p_.ledger.MillisecondsSinceBeat() <= ttl_ms / 2) return;
  const TraceSpan span(p_.trace, "wait");
  while (!Stopping() && p_.ledger.MillisecondsSinceBeat() > ttl_ms / 2) {
    const int64_t failing_since_ms = beats_fail_since_ms_;
    if (failing_since_ms >= 0 && p_.clock.MonotonicMs() - failing_since_ms > 3 * ttl_ms) {
      return GiveUp(Unavailable("no heartbeat has got through for " +
                                std::to_string(3 * ttl_ms / 1000) +
                                " s; the last error: " + p_.progress.LastError()));
    }
    SleepUnlessStopping(options_.idle_poll_ms);
  }
}

// --- sealer ---

void Worker::Pipeline::Seal() {
  NameThread("sealer");
  while (std::optional<SealRequest> request = Pop(filled_)) {
    UnitInFlight& unit = *request->unit;
    switch (request->step) {
      case SealStep::kRows: {
        const TraceSpan span(p_.trace, "checksum", unit.job.unit);
        unit.builder->Absorb(request->end_row);
        break;
      }
      case SealStep::kComplete:
        WriteRest(unit);
        sealed_.Push({std::move(request->unit), std::nullopt});
        break;
      case SealStep::kHandOver:
        sealed_.Push({std::move(request->unit), request->end_sequence});
        break;
    }
  }
}

// --- uploader ---

void Worker::Pipeline::Upload() {
  NameThread("uploader");
  while (std::optional<UploadRequest> request = Pop(sealed_)) {
    UnitInFlight& unit = *request->unit;
    const TraceSpan span(p_.trace, "unit", unit.job.unit);
    const Status status = request->hand_over_sequences
                              ? uploader_.HandOver(unit, *request->hand_over_sequences)
                              : uploader_.Finish(unit);
    if (!request->hand_over_sequences) bytes_to_upload_ -= unit.builder->file_bytes();
    p_.progress.progressed_unix_ms = p_.clock.UnixMs();
    if (status.ok()) {
      ++units_ended_;
      if (!request->hand_over_sequences) consecutive_failures_ = 0;
      continue;
    }
    ++p_.progress.uploads_failed;
    p_.progress.upload_failed_unix_ms = p_.clock.UnixMs();
    // The store's fault, not the unit's: it stays open for others and does not count as poison.
    FailUnit(unit, LeaseEnd::kReleased, status);
    p_.log.Warning(
        UnitName(unit.job.unit) +
            " stays open, for this worker and others. If uploads go on failing, ask \"thresher "
            "doctor " +
            p_.store.url() + "\" what is wrong with the store",
        {UnitField(unit.job.unit)});
  }
}

// --- failures ---

void Worker::Pipeline::FailUnit(UnitInFlight& unit, LeaseEnd end, const Status& status) {
  p_.progress.LetGo(unit.job.unit);
  const Status ended = p_.ledger.EndClaim(unit.claimed(), end, status.message());
  if (!ended.ok()) {
    p_.log.Warning("ending the claim: " + ended.message(), {UnitField(unit.job.unit)});
  }
  if (status.code() == Code::kCancelled) return;
  ++p_.progress.units_failed;
  if (end == LeaseEnd::kFailed) p_.progress.unit_failed_unix_ms = p_.clock.UnixMs();
  p_.progress.SetLastError(status.message());
  p_.log.Warning(UnitName(unit.job.unit) + " failed: " + status.message(),
                 {UnitField(unit.job.unit)});
  beats_at_once_ = true;
  ++units_ended_;
  const int64_t failures = ++consecutive_failures_;
  if (failures < options_.max_consecutive_failures) return;
  GiveUp(status.WithContext("giving up after " + std::to_string(failures) +
                            " failed units in a row (--max-failures-in-a-row); the last"));
}

void Worker::Pipeline::GiveUp(const Status& status) {
  {
    std::lock_guard lock(error_mutex_);
    if (last_error_.ok()) last_error_ = status;
  }
  gave_up_ = true;
  beat_wakeup_.notify_all();
}

// --- heartbeat ---

void Worker::Pipeline::BeatUntilDone() {
  const int64_t poll_ms = std::min<int64_t>(250, options_.beat_interval_ms);
  int64_t next_beat_ms = p_.clock.MonotonicMs() + options_.beat_interval_ms;
  std::unique_lock lock(beat_mutex_);
  while (!pipeline_done_) {
    beat_wakeup_.wait_for(lock, std::chrono::milliseconds(poll_ms));
    if (p_.stop.requested() && stop_seen_ms_ < 0) stop_seen_ms_ = p_.clock.MonotonicMs();
    if (pipeline_done_) return;
    p_.report();
    if (p_.clock.MonotonicMs() < next_beat_ms && !beats_at_once_.exchange(false)) continue;
    lock.unlock();
    const Status status = Beat("running");
    if (status.ok()) {
      beats_fail_since_ms_ = -1;
    } else {
      if (beats_fail_since_ms_ < 0) beats_fail_since_ms_ = p_.clock.MonotonicMs();
      p_.progress.SetLastError("heartbeat: " + status.message());
      p_.log.Warning("heartbeat: " + status.message());
    }
    next_beat_ms = p_.clock.MonotonicMs() + options_.beat_interval_ms;
    lock.lock();
  }
}

Status Worker::Pipeline::Beat(const char* state) {
  Heartbeat heartbeat = p_.heartbeat;
  heartbeat.state = state;
  heartbeat.updated_unix_ms = p_.clock.UnixMs();
  p_.progress.Describe(heartbeat);
  heartbeat.lease_ttl_ms = p_.ledger.options().lease_ttl_ms;
  heartbeat.beat_interval_ms = options_.beat_interval_ms;
  const int64_t now_ms = p_.clock.MonotonicMs();
  computed_.Add(now_ms, heartbeat.tokens_computed);
  uploaded_.Add(now_ms, heartbeat.bytes_uploaded);
  heartbeat.recent_tokens_per_second = computed_.PerSecond();
  heartbeat.recent_bytes_per_second = uploaded_.PerSecond();
  return p_.ledger.Beat(heartbeat);
}

void Worker::Pipeline::SleepWhile(int64_t duration_ms, const std::function<bool()>& condition) {
  constexpr int64_t kStepMs = 50;
  for (int64_t slept_ms = 0; slept_ms < duration_ms && !Stopping() && condition();
       slept_ms += kStepMs) {
    p_.clock.SleepMs(std::min(kStepMs, duration_ms - slept_ms));
  }
}

}  // namespace thresher
