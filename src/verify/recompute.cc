#include "verify/recompute.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <span>

#include "base/fingerprint.h"
#include "base/random.h"
#include "engine/cpu/parallel.h"
#include "shard/convert.h"
#include "verify/expected_shard.h"
#include "verify/row_error.h"

namespace thresher {
namespace {

uint64_t SeedOf(std::string_view text) {
  uint64_t seed = 0;
  const std::string digits = FingerprintOf(AsBytes(text));
  // The last 16 hexadecimal digits.
  for (const char digit : digits.substr(digits.size() - 16)) {
    seed = seed << 4 | static_cast<uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return seed;
}

class Recomputation {
 public:
  Recomputation(Store& store, const RunRecords& records, Engine& engine, int threads,
                FindingLog& log)
      : store_(store),
        records_(records),
        engine_(engine),
        threads_(threads),
        log_(log),
        tolerance_(
            ToleranceOf(records.run.spec.capture.compute == "f32" ? DType::kF32 : DType::kBf16)),
        expected_rows_(records.hooks.size()) {}

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
  Status Compute(std::span<const int32_t> token_ids);
  Status CompareHook(size_t hook, const PickedSequence& picked, int64_t first_row, int64_t rows);
  Result<StoredRows> ReadRows(size_t hook, int64_t first_row, int64_t rows) const;
  bool IsIdentical(size_t hook, int64_t rows, const StoredRows& stored) const;
  void Judge(size_t hook, const PickedSequence& picked, int64_t rows, const StoredRows& stored);

  const UnitRecord& record() const { return records_.units[static_cast<size_t>(open_unit_)]; }

  Store& store_;
  const RunRecords& records_;
  Engine& engine_;
  const int threads_;
  FindingLog& log_;
  const ComputeTolerance tolerance_;
  std::vector<std::vector<float>> expected_rows_;  // by hook point: [rows, width]
  int64_t open_unit_ = -1;
  ExpectedShard shard_;
  ShardIndex index_;
  std::mutex mutex_;  // guards result_ while hook points are compared
  RecomputeResult result_;
};

Status Recomputation::OpenUnit(int64_t unit) {
  if (unit == open_unit_) return OkStatus();
  open_unit_ = unit;
  ASSIGN_OR_RETURN(shard_, ExpectShard(record().commit, records_.hooks, records_.dtype));
  ASSIGN_OR_RETURN(index_, ReadShardIndex(store_, record().commit.shard, shard_));
  return OkStatus();
}

Status Recomputation::Compute(std::span<const int32_t> token_ids) {
  std::vector<HookOutput> outputs(expected_rows_.size());
  for (size_t hook = 0; hook < outputs.size(); ++hook) {
    const auto width = static_cast<size_t>(records_.hooks[hook].width);
    expected_rows_[hook].resize(token_ids.size() * width);
    outputs[hook].rows = reinterpret_cast<std::byte*>(expected_rows_[hook].data());
  }
  const std::vector<int64_t> offsets = {0, static_cast<int64_t>(token_ids.size())};
  return engine_.Forward({.token_ids = token_ids, .sequence_offsets = offsets}, outputs);
}

Result<Recomputation::StoredRows> Recomputation::ReadRows(size_t hook, int64_t first_row,
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

bool Recomputation::IsIdentical(size_t hook, int64_t rows, const StoredRows& stored) const {
  const int64_t width = shard_.hooks[hook].width;
  StoredRows expected(stored.bytes.size(), stored.scales.size());
  EncodeRows(expected_rows_[hook].data(), rows, width, width, shard_.dtype, expected.bytes.data(),
             expected.scales.data());
  return std::memcmp(expected.bytes.data(), stored.bytes.data(), stored.bytes.size()) == 0 &&
         (stored.scales.empty() || std::memcmp(expected.scales.data(), stored.scales.data(),
                                               stored.scales.size() * sizeof(float)) == 0);
}

void Recomputation::Judge(size_t hook, const PickedSequence& picked, int64_t rows,
                          const StoredRows& stored) {
  const auto& [name, width] = shard_.hooks[hook];
  std::vector<float> values(static_cast<size_t>(rows * width));
  DecodeRows(stored.bytes.data(), stored.scales.data(), rows, width, shard_.dtype, values.data());
  const RowError error = CompareRows(expected_rows_[hook], values, width, shard_.dtype, tolerance_);
  const int64_t sample = index_.sample_index[static_cast<size_t>(picked.sequence)];
  if (error.of_limit > 1) {
    log_.Damage(picked.unit, name,
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

Status Recomputation::CompareHook(size_t hook, const PickedSequence& picked, int64_t first_row,
                                  int64_t rows) {
  ASSIGN_OR_RETURN(const StoredRows stored, ReadRows(hook, first_row, rows));
  const bool is_identical = IsIdentical(hook, rows, stored);
  if (!is_identical) Judge(hook, picked, rows, stored);
  const std::lock_guard lock(mutex_);
  ++result_.comparisons;
  if (is_identical) ++result_.identical;
  return OkStatus();
}

Status Recomputation::Check(const PickedSequence& picked) {
  RETURN_IF_ERROR(OpenUnit(picked.unit));
  const auto sequence = static_cast<size_t>(picked.sequence);
  const int64_t first_row = index_.sequence_offsets[sequence];
  const int64_t rows = index_.sequence_offsets[sequence + 1] - first_row;
  RETURN_IF_ERROR(Compute(std::span(index_.token_ids)
                              .subspan(static_cast<size_t>(first_row), static_cast<size_t>(rows))));
  std::vector<Status> outcomes(expected_rows_.size());
  RETURN_IF_ERROR(
      ParallelFor(threads_, static_cast<int64_t>(outcomes.size()), [&](int64_t hook, int) {
        const auto index = static_cast<size_t>(hook);
        outcomes[index] = CompareHook(index, picked, first_row, rows);
      }));
  for (const Status& outcome : outcomes) RETURN_IF_ERROR(outcome);
  ++result_.sequences;
  result_.tokens += rows;
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

Result<RecomputeResult> RecomputeSequences(Store& store, const RunRecords& records,
                                           const std::vector<PickedSequence>& picked,
                                           Engine& engine, int threads, FindingLog& log,
                                           const std::function<void(int64_t)>& on_tokens) {
  Recomputation recomputation(store, records, engine, threads, log);
  int64_t tokens_done = 0;
  for (const PickedSequence& sequence : picked) {
    RETURN_IF_ERROR(recomputation.Check(sequence));
    const int64_t tokens = recomputation.result().tokens;
    on_tokens(tokens - tokens_done);
    tokens_done = tokens;
  }
  return recomputation.result();
}

}  // namespace thresher
