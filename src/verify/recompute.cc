#include "verify/recompute.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "base/random.h"
#include "engine/cpu/parallel.h"
#include "shard/convert.h"
#include "verify/expected_shard.h"
#include "verify/row_error.h"

namespace thresher {
namespace {

class Recomputer {
 public:
  explicit Recomputer(const Recomputation& parts)
      : store_(parts.store),
        records_(parts.records),
        samples_(parts.samples),
        engine_(parts.engine),
        threads_(parts.threads),
        log_(parts.log),
        tolerance_(ToleranceOf(parts.records.run.spec.capture.compute == "f32" ? DType::kF32
                                                                               : DType::kBf16)),
        expected_rows_(parts.records.hooks.size()) {}

  Status Check(const PickedSequence& picked);

  const RecomputeResult& result() const { return result_; }

 private:
  // Rows of one hook point as the shard holds them; scales only where the dtype has them.
  struct StoredRows {
    StoredRows(size_t byte_count, size_t scale_count) : bytes(byte_count), scales(scale_count) {}
    std::vector<std::byte> bytes;
    std::vector<float> scales;
  };

  Status OpenUnit(int64_t unit);
  // A sequence of the open unit and its stored rows.
  struct Sequence {
    int64_t sample = 0;
    std::vector<int32_t> token_ids;      // all of them
    std::span<const int32_t> positions;  // of the stored ones
    int64_t first_row = 0;

    int64_t rows() const { return static_cast<int64_t>(positions.size()); }
    RowSelection selection() const {
      return {.has_first_token = positions.front() == 0,
              .is_whole = positions.size() == token_ids.size()};
    }
  };

  std::optional<Sequence> FindSequence(const PickedSequence& picked);
  std::optional<std::vector<int32_t>> TokenIdsFromSamples(size_t sequence);
  Status Compute(const Sequence& sequence);
  Status CompareHook(size_t hook, const Sequence& sequence);
  Result<StoredRows> ReadRows(size_t hook, int64_t first_row, int64_t rows) const;
  bool IsIdentical(size_t hook, int64_t rows, const StoredRows& stored) const;
  void Judge(size_t hook, const Sequence& sequence, const StoredRows& stored);

  const UnitRecord& record() const { return records_.units[static_cast<size_t>(open_unit_)]; }

  Store& store_;
  const RunRecords& records_;
  const RunSamples* samples_;
  Engine& engine_;
  const int threads_;
  FindingLog& log_;
  const ComputeTolerance tolerance_;
  std::vector<std::vector<float>> expected_rows_;  // by hook point: [rows, width]
  int64_t open_unit_ = -1;
  ExpectedShard shard_;
  ShardIndex index_;
  std::vector<int64_t> sequences_with_rows_;
  std::mutex mutex_;  // guards result_ while hook points are compared
  RecomputeResult result_;
};

Status Recomputer::OpenUnit(int64_t unit) {
  if (unit == open_unit_) return OkStatus();
  open_unit_ = unit;
  ASSIGN_OR_RETURN(shard_, ExpectShard(record().commit, records_.hooks, records_.dtype));
  ASSIGN_OR_RETURN(index_, ReadShardIndex(store_, record().commit.shard, shard_));
  sequences_with_rows_ = SequencesWithRows(index_);
  return OkStatus();
}

// Nothing if the samples do not say: that has been reported when rows were compared with them, or
// is now if they cannot be read.
std::optional<std::vector<int32_t>> Recomputer::TokenIdsFromSamples(size_t sequence) {
  const int64_t sample_number = index_.sample_index[sequence];
  const Result<std::vector<SampleOrRejection>> read = samples_->Read(sample_number, 1);
  if (!read.ok()) {
    log_.Note(fmt::format("sample {} was not computed again: {}", sample_number,
                          read.status().message()));
    return std::nullopt;
  }
  const auto* sample = std::get_if<Sample>(&read->front());
  size_t part = 0;  // of the sample
  while (part < sequence && index_.sample_index[sequence - part - 1] == sample_number) ++part;
  if (sample == nullptr || part + 1 >= sample->sequence_offsets.size()) return std::nullopt;
  return std::vector<int32_t>(sample->token_ids.begin() + sample->sequence_offsets[part],
                              sample->token_ids.begin() + sample->sequence_offsets[part + 1]);
}

std::optional<Recomputer::Sequence> Recomputer::FindSequence(const PickedSequence& picked) {
  const auto number =
      static_cast<size_t>(sequences_with_rows_[static_cast<size_t>(picked.sequence)]);
  Sequence sequence;
  sequence.sample = index_.sample_index[number];
  sequence.first_row = index_.sequence_offsets[number];
  const auto first = static_cast<size_t>(sequence.first_row);
  const size_t rows = static_cast<size_t>(index_.sequence_offsets[number + 1]) - first;
  sequence.positions = std::span(index_.positions).subspan(first, rows);
  if (record().commit.token_count == record().commit.forward_token_count) {
    const auto token_ids = std::span(index_.token_ids).subspan(first, rows);
    sequence.token_ids.assign(token_ids.begin(), token_ids.end());
    return sequence;
  }
  std::optional<std::vector<int32_t>> token_ids = TokenIdsFromSamples(number);
  const auto last_position = static_cast<size_t>(sequence.positions.back());
  if (!token_ids || last_position >= token_ids->size()) return std::nullopt;
  sequence.token_ids = *std::move(token_ids);
  return sequence;
}

Status Recomputer::Compute(const Sequence& sequence) {
  std::vector<HookOutput> outputs(expected_rows_.size());
  for (size_t hook = 0; hook < outputs.size(); ++hook) {
    const auto width = static_cast<size_t>(records_.hooks[hook].width);
    expected_rows_[hook].resize(sequence.positions.size() * width);
    outputs[hook].rows = reinterpret_cast<std::byte*>(expected_rows_[hook].data());
  }
  const std::vector<int64_t> offsets = {0, static_cast<int64_t>(sequence.token_ids.size())};
  return engine_.Forward({.token_ids = sequence.token_ids,
                          .sequence_offsets = offsets,
                          .stored_tokens = sequence.positions},
                         outputs);
}

Result<Recomputer::StoredRows> Recomputer::ReadRows(size_t hook, int64_t first_row,
                                                    int64_t rows) const {
  const std::string& key = record().commit.shard;
  const int64_t row_bytes = shard_.hooks[hook].width * DTypeBytes(shard_.dtype);
  StoredRows stored(static_cast<size_t>(rows * row_bytes),
                    HasScale(shard_.dtype) ? static_cast<size_t>(rows) : 0);
  RETURN_IF_ERROR(
      store_.GetRange(key, shard_.tensors[hook].begin + first_row * row_bytes, stored.bytes));
  if (stored.scales.empty()) return stored;
  const TensorEntry& entry = shard_.tensors[shard_.scale_tensor(hook)];
  RETURN_IF_ERROR(store_.GetRange(key, entry.begin + first_row * DTypeBytes(DType::kF32),
                                  std::as_writable_bytes(std::span(stored.scales))));
  return stored;
}

bool Recomputer::IsIdentical(size_t hook, int64_t rows, const StoredRows& stored) const {
  const int64_t width = shard_.hooks[hook].width;
  StoredRows expected(stored.bytes.size(), stored.scales.size());
  EncodeRows(expected_rows_[hook].data(), rows, width, width, shard_.dtype, expected.bytes.data(),
             expected.scales.data());
  return std::memcmp(expected.bytes.data(), stored.bytes.data(), stored.bytes.size()) == 0 &&
         (stored.scales.empty() || std::memcmp(expected.scales.data(), stored.scales.data(),
                                               stored.scales.size() * sizeof(float)) == 0);
}

void Recomputer::Judge(size_t hook, const Sequence& sequence, const StoredRows& stored) {
  const auto& [name, width] = shard_.hooks[hook];
  const int64_t rows = sequence.rows();
  std::vector<float> values(static_cast<size_t>(rows * width));
  DecodeRows(stored.bytes.data(), stored.scales.data(), rows, width, shard_.dtype, values.data());
  const RowError error = CompareRows(expected_rows_[hook], values, width, shard_.dtype, tolerance_,
                                     sequence.selection());
  const int64_t sample = sequence.sample;
  if (error.of_limit > 1) {
    log_.Damage(open_unit_, name,
                fmt::format("computed again, sample {} differs: relative L2 error {:.3g} in {}, "
                            "allowed {:.3g}; {} of its {} rows are wrong by themselves",
                            sample, error.relative, error.where, error.relative / error.of_limit,
                            error.rows_wrong, rows));
  }
  const std::lock_guard lock(mutex_);
  if (error.of_limit <= result_.worst_of_limit) return;
  result_.worst_of_limit = error.of_limit;
  result_.worst_relative = error.relative;
  result_.worst_where = fmt::format("{}, sample {}, {}", name, sample, error.where);
}

Status Recomputer::CompareHook(size_t hook, const Sequence& sequence) {
  ASSIGN_OR_RETURN(const StoredRows stored, ReadRows(hook, sequence.first_row, sequence.rows()));
  const bool is_identical = IsIdentical(hook, sequence.rows(), stored);
  if (!is_identical) Judge(hook, sequence, stored);
  const std::lock_guard lock(mutex_);
  ++result_.comparisons;
  if (is_identical) ++result_.identical;
  return OkStatus();
}

Status Recomputer::Check(const PickedSequence& picked) {
  RETURN_IF_ERROR(OpenUnit(picked.unit));
  const std::optional<Sequence> sequence = FindSequence(picked);
  if (!sequence) return OkStatus();
  RETURN_IF_ERROR(Compute(*sequence));
  std::vector<Status> outcomes(expected_rows_.size());
  RETURN_IF_ERROR(
      ParallelFor(threads_, static_cast<int64_t>(outcomes.size()), [&](int64_t hook, int) {
        const auto index = static_cast<size_t>(hook);
        outcomes[index] = CompareHook(index, *sequence);
      }));
  for (const Status& outcome : outcomes) RETURN_IF_ERROR(outcome);
  ++result_.sequences;
  result_.tokens += static_cast<int64_t>(sequence->token_ids.size());
  return OkStatus();
}

}  // namespace

std::vector<PickedSequence> PickSequences(std::string_view seed_text, double fraction,
                                          const std::vector<int64_t>& sequence_counts) {
  int64_t remaining = 0;
  for (const int64_t count : sequence_counts) remaining += count;
  int64_t wanted = 0;
  if (fraction > 0 && remaining > 0) {
    const double share = std::round(fraction * static_cast<double>(remaining));
    wanted = std::clamp<int64_t>(static_cast<int64_t>(share), 1, remaining);
  }
  // Selection sampling (Knuth, The Art of Computer Programming, volume 2, algorithm S): each
  // sequence is taken with the chance (still wanted) / (still to come).
  Random random(SeedOf(seed_text));
  std::vector<PickedSequence> picked;
  for (size_t unit = 0; unit < sequence_counts.size() && wanted > 0; ++unit) {
    for (int64_t sequence = 0; sequence < sequence_counts[unit]; ++sequence, --remaining) {
      if (random.Below(static_cast<uint64_t>(remaining)) >= static_cast<uint64_t>(wanted)) continue;
      picked.push_back({static_cast<int64_t>(unit), sequence});
      --wanted;
    }
  }
  return picked;
}

Result<RecomputeResult> RecomputeSequences(const Recomputation& parts,
                                           const std::vector<PickedSequence>& picked,
                                           const std::function<void(int64_t)>& on_tokens) {
  Recomputer recomputer(parts);
  int64_t tokens_done = 0;
  for (const PickedSequence& sequence : picked) {
    RETURN_IF_ERROR(recomputer.Check(sequence));
    const int64_t tokens = recomputer.result().tokens;
    on_tokens(tokens - tokens_done);
    tokens_done = tokens;
  }
  return recomputer.result();
}

}  // namespace thresher
