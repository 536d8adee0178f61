#include "verify/verify_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "engine/cpu/parallel.h"
#include "engine/create_engine.h"
#include "verify/expected_shard.h"
#include "verify/row_identity.h"
#include "verify/run_inputs.h"
#include "verify/run_records.h"
#include "verify/sample_census.h"
#include "verify/shard_check.h"
#include "work/keys.h"

namespace thresher {
namespace {

// Adds up what several threads have done. Thread-safe.
class ProgressCounter {
 public:
  ProgressCounter(const VerifyOptions& options, VerifyProgress::Phase phase, int64_t total)
      : options_(options), progress_{phase, 0, total} {
    Add(0);
  }

  void Add(int64_t done) {
    std::lock_guard lock(mutex_);
    progress_.done += done;
    if (options_.on_progress) options_.on_progress(progress_);
  }
  void SetTotal(int64_t total) {
    std::lock_guard lock(mutex_);
    progress_.total = total;
  }

 private:
  const VerifyOptions& options_;
  std::mutex mutex_;
  VerifyProgress progress_;
};

class Verification {
 public:
  Verification(Store& store, const VerifyOptions& options)
      : store_(store),
        options_(options),
        threads_(options.threads > 0 ? options.threads : UsableCores()),
        log_(options.on_finding) {}

  Result<VerifyReport> Run();

 private:
  Result<std::optional<RunRecords>> ReadRecords();
  Status CheckShards(const RunRecords& records, const RunInputs& inputs);
  void CheckUnit(const RunRecords& records, const RunInputs& inputs, int64_t unit,
                 SampleCensus& census, ProgressCounter& progress, std::vector<std::byte>& buffer);
  Status Recompute(const RunRecords& records, const RunInputs& inputs);
  std::vector<PickedSequence> Pick(const RunRecords& records, const RunInputs& inputs);
  Result<std::unique_ptr<Engine>> MakeEngine(const RunRecords& records, const Model& model) const;
  void Summarise(const RunRecords& records);
  VerifyReport Finish();

  Store& store_;
  const VerifyOptions& options_;
  const int threads_;
  FindingLog log_;
  VerifyReport report_;
  std::vector<char> index_is_whole_;          // by unit: its samples could be counted
  std::vector<char> rows_are_whole_;          // by unit: its rows can be compared
  std::vector<int64_t> sequences_with_rows_;  // by unit; unknown where the index is not whole
};

// Nothing, with a finding, if run.json or the plan is there and cannot be used.
Result<std::optional<RunRecords>> Verification::ReadRecords() {
  ProgressCounter progress(options_, VerifyProgress::Phase::kRecords, 0);
  Result<RunRecords> records = CheckRecords(store_, threads_, log_, [&](int64_t count) {
    progress.SetTotal(count);
    progress.Add(1);
  });
  if (records.ok()) return std::optional(*std::move(records));
  const Status status = records.status();
  const bool plan_is_lost = status.code() == Code::kNotFound && store_.Stat(kRunKey).ok();
  if (status.code() != Code::kDataLoss && !plan_is_lost) return status;
  log_.Damage(std::nullopt, "", status.message() + "; nothing else could be checked");
  return std::optional<RunRecords>();
}

void Verification::CheckUnit(const RunRecords& records, const RunInputs& inputs, int64_t unit,
                             SampleCensus& census, ProgressCounter& progress,
                             std::vector<std::byte>& buffer) {
  // Read again, since the records in memory leave out the checksums.
  const Result<Commit> commit = ReadCommit(store_, unit);
  if (!commit.ok()) return log_.Damage(unit, "", commit.status().message());
  const Result<ExpectedShard> expected = ExpectShard(*commit, records.hooks, records.dtype);
  if (!expected.ok()) return log_.Damage(unit, "", expected.status().message());
  const SampleRange samples = records.run.plan.Samples(unit);
  const ShardVerdict verdict = CheckShard(
      store_, {*commit, *expected, samples}, log_, [&](int64_t bytes) { progress.Add(bytes); },
      buffer);
  if (!verdict.index) return;
  const auto slot = static_cast<size_t>(unit);
  index_is_whole_[slot] = 1;
  rows_are_whole_[slot] = verdict.hooks_are_whole ? 1 : 0;
  const ShardIndex& index = *verdict.index;
  for (size_t sequence = 0; sequence < index.sample_index.size(); ++sequence) {
    // The sequences of a sample that was split are one sample.
    const int64_t sample = index.sample_index[sequence];
    if (sequence == 0 || index.sample_index[sequence - 1] != sample) census.Count(sample);
  }
  sequences_with_rows_[slot] = static_cast<int64_t>(SequencesWithRows(index).size());
  for (const RejectedSample& sample : commit->rejected) census.Count(sample.sample);
  if (inputs.samples) {
    CheckRowIdentity(*inputs.samples, *commit, index, verdict.sample_keys, log_);
  }
}

Status Verification::CheckShards(const RunRecords& records, const RunInputs& inputs) {
  index_is_whole_.assign(records.units.size(), 0);
  rows_are_whole_.assign(records.units.size(), 0);
  sequences_with_rows_.assign(records.units.size(), 0);
  SampleCensus census(records.run.plan.sample_count());
  std::vector<int64_t> committed;
  for (size_t slot = 0; slot < records.units.size(); ++slot) {
    const auto unit = static_cast<int64_t>(slot);
    if (records.units[slot].state == UnitState::kCommitted) committed.push_back(unit);
    if (records.units[slot].state != UnitState::kQuarantined) continue;
    index_is_whole_[slot] = 1;
    const SampleRange samples = records.run.plan.Samples(unit);
    for (int64_t sample = samples.first; sample < samples.end(); ++sample) census.Count(sample);
  }
  ProgressCounter progress(options_, VerifyProgress::Phase::kShards, report_.bytes_read);
  std::vector<std::vector<std::byte>> buffers(static_cast<size_t>(threads_));
  RETURN_IF_ERROR(
      ParallelFor(threads_, static_cast<int64_t>(committed.size()), [&](int64_t index, int thread) {
        CheckUnit(records, inputs, committed[static_cast<size_t>(index)], census, progress,
                  buffers[static_cast<size_t>(thread)]);
      }));
  census.Report(records, index_is_whole_, log_);
  report_.rows_were_identified = inputs.samples.has_value();
  return OkStatus();
}

std::vector<PickedSequence> Verification::Pick(const RunRecords& records, const RunInputs& inputs) {
  std::vector<int64_t> sequence_counts;
  for (size_t unit = 0; unit < records.units.size(); ++unit) {
    sequence_counts.push_back(index_is_whole_[unit] ? sequences_with_rows_[unit]
                                                    : records.units[unit].commit.sequence_count);
  }
  std::vector<PickedSequence> picked =
      PickSequences(records.run.fingerprint, options_.recompute_fraction, sequence_counts);
  const auto left_out = std::erase_if(picked, [&](const PickedSequence& sequence) {
    return !rows_are_whole_[static_cast<size_t>(sequence.unit)];
  });
  if (left_out > 0) {
    log_.Note(
        fmt::format("{} of the picked sequences were not computed again: their shards are "
                    "damaged",
                    left_out));
  }
  const auto incomputable = std::erase_if(picked, [&](const PickedSequence& sequence) {
    const Commit& commit = records.units[static_cast<size_t>(sequence.unit)].commit;
    return !inputs.samples && commit.token_count != commit.forward_token_count;
  });
  if (incomputable > 0) {
    log_.Note(fmt::format(
        "nothing was computed again for {} of the picked sequences: only selected rows are stored "
        "and the data set, which has their other tokens, is not at hand",
        incomputable));
  }
  return picked;
}

// The hook points as the run names them, with the widths that are stored.
Result<std::unique_ptr<Engine>> Verification::MakeEngine(const RunRecords& records,
                                                         const Model& model) const {
  std::vector<HookPoint> hooks;
  for (const ShardHook& hook : records.hooks) {
    ASSIGN_OR_RETURN(const HookPoint point,
                     ParseHookName(hook.name, static_cast<int32_t>(model.layer_count)));
    ASSIGN_OR_RETURN(const ValueId value, model.graph.FindHook(point));
    if (model.graph.width(value) != hook.width) {
      return DataLoss(fmt::format("{} is stored with width {}, the model's is {}", hook.name,
                                  hook.width, model.graph.width(value)));
    }
    hooks.push_back(point);
  }
  if (options_.create_engine) return options_.create_engine(model, hooks);
  // The CPU engine, whatever the run's: what it gives is right for all of them.
  const bool in_f32 = records.run.spec.capture.compute == "f32";
  return CreateEngine(model, hooks,
                      {.engine = "cpu",
                       .compute = in_f32 ? DType::kF32 : DType::kBf16,
                       .threads = threads_,
                       .max_batch_tokens = records.run.spec.capture.batch_tokens,
                       .stored_dtype = DType::kF32});
}

Status Verification::Recompute(const RunRecords& records, const RunInputs& inputs) {
  if (!inputs.weights_fit) return OkStatus();
  const std::string& compute = records.run.spec.capture.compute;
  if (compute != "f32" && compute != "bf16") {
    log_.Note("nothing was computed again: no tolerance is known for compute " + compute);
    return OkStatus();
  }
  const std::vector<PickedSequence> picked = Pick(records, inputs);
  if (picked.empty()) return OkStatus();
  // Sequences of one unit are about equally long.
  int64_t tokens = 0;
  for (const PickedSequence& sequence : picked) {
    const Commit& commit = records.units[static_cast<size_t>(sequence.unit)].commit;
    tokens += commit.forward_token_count / commit.sequence_count;
  }
  Result<std::unique_ptr<Engine>> engine = MakeEngine(records, *inputs.model);
  if (!engine.ok()) {
    if (engine.status().code() == Code::kDataLoss) {
      log_.Damage(std::nullopt, "", engine.status().message());
      return OkStatus();
    }
    // Not every processor can do what the run's did.
    if (engine.status().code() != Code::kInvalidArgument) return engine.status();
    log_.Note("nothing was computed again: " + engine.status().message());
    return OkStatus();
  }
  ProgressCounter progress(options_, VerifyProgress::Phase::kRecompute, tokens);
  ASSIGN_OR_RETURN(report_.recomputed,
                   RecomputeSequences({.store = store_,
                                       .records = records,
                                       .samples = inputs.samples ? &*inputs.samples : nullptr,
                                       .engine = **engine,
                                       .threads = threads_,
                                       .log = log_},
                                      picked, [&](int64_t done) { progress.Add(done); }));
  return OkStatus();
}

void Verification::Summarise(const RunRecords& records) {
  report_.unit_count = records.run.plan.unit_count();
  report_.sample_count = records.run.plan.sample_count();
  for (const UnitRecord& record : records.units) {
    if (record.state == UnitState::kQuarantined) ++report_.quarantined_count;
    if (record.state != UnitState::kCommitted) continue;
    ++report_.committed_count;
    report_.stored_samples += record.commit.stored_sample_count();
    report_.rejected_samples += static_cast<int64_t>(record.commit.rejected.size());
    report_.tokens += record.commit.token_count;
    report_.bytes_read += record.commit.bytes;
  }
}

VerifyReport Verification::Finish() {
  report_.findings = log_.Sorted();
  for (const Finding& finding : report_.findings) {
    if (finding.severity == Severity::kDamage) ++report_.damage_count;
    if (finding.severity == Severity::kIncomplete) ++report_.incomplete_count;
    if (finding.severity == Severity::kWarning) ++report_.warning_count;
  }
  return std::move(report_);
}

Result<VerifyReport> Verification::Run() {
  ASSIGN_OR_RETURN(const std::optional<RunRecords> records, ReadRecords());
  if (!records) return Finish();
  Summarise(*records);
  const RunInputs::Wanted wanted{.dataset_path = options_.dataset_path,
                                 .model_directory = options_.model_directory,
                                 .weights = options_.recompute_fraction > 0};
  ASSIGN_OR_RETURN(RunInputs inputs, RunInputs::Open(wanted, records->run.spec, log_, [&] {
                     const ProgressCounter progress(options_, VerifyProgress::Phase::kWeights, 0);
                   }));
  RETURN_IF_ERROR(CheckShards(*records, inputs));
  RETURN_IF_ERROR(Recompute(*records, inputs).WithContext("computing again"));
  NoteLeftovers(store_, *records, log_);
  return Finish();
}

}  // namespace

Result<VerifyReport> VerifyRun(Store& store, const VerifyOptions& options) {
  return Verification(store, options).Run();
}

}  // namespace thresher
