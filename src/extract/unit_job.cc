#include "extract/unit_job.h"

#include <utility>
#include <variant>

#include "base/check.h"

namespace thresher {
namespace {

// The positions of a sample's stored tokens, sequence by sequence.
void AppendRows(const Sample& sample, UnitJob& job) {
  size_t next = 0;  // of the stored tokens
  for (size_t sequence = 1; sequence < sample.sequence_offsets.size(); ++sequence) {
    const int64_t begin = sample.sequence_offsets[sequence - 1];
    const int64_t end = sample.sequence_offsets[sequence];
    if (!sample.stored_tokens) {
      for (int64_t token = begin; token < end; ++token) {
        job.positions.push_back(static_cast<int32_t>(token - begin));
      }
    } else {
      for (; next < sample.stored_tokens->size(); ++next) {
        const int64_t token = (*sample.stored_tokens)[next];
        if (token >= end) break;
        THRESHER_CHECK(token >= begin);
        job.positions.push_back(static_cast<int32_t>(token - begin));
      }
    }
    job.row_offsets.push_back(static_cast<int64_t>(job.positions.size()));
  }
  THRESHER_CHECK(!sample.stored_tokens || next == sample.stored_tokens->size());
}

}  // namespace

UnitJob MakeUnitJob(std::vector<SampleOrRejection> outcomes, int64_t unit, int64_t epoch,
                    SampleRange range) {
  THRESHER_CHECK(static_cast<int64_t>(outcomes.size()) == range.count);
  UnitJob job;
  job.unit = unit;
  job.epoch = epoch;
  job.samples = range;
  for (int64_t index = range.first; index < range.end(); ++index) {
    SampleOrRejection& outcome = outcomes[static_cast<size_t>(index - range.first)];
    if (auto* rejection = std::get_if<Rejection>(&outcome)) {
      job.rejected.push_back({index, std::move(rejection->reason)});
      continue;
    }
    const Sample& sample = std::get<Sample>(outcome);
    const int64_t first_token = job.token_count();
    job.token_ids.insert(job.token_ids.end(), sample.token_ids.begin(), sample.token_ids.end());
    for (size_t sequence = 1; sequence < sample.sequence_offsets.size(); ++sequence) {
      job.sequence_offsets.push_back(first_token + sample.sequence_offsets[sequence]);
      job.sample_index.push_back(index);
      job.sample_keys.push_back(sample.key);
    }
    AppendRows(sample, job);
    if (sample.truncated) ++job.truncated_count;
  }
  return job;
}

Result<UnitJob> TokeniseUnit(const SampleSet& samples, int64_t unit, int64_t epoch,
                             SampleRange range, TraceWriter* trace) {
  ASSIGN_OR_RETURN(std::vector<SampleOrRejection> outcomes,
                   samples.Read(range.first, range.count, trace));
  return MakeUnitJob(std::move(outcomes), unit, epoch, range);
}

UnitJob PrefixOf(const UnitJob& job, int64_t sequence_count) {
  UnitJob prefix;
  prefix.unit = job.unit;
  prefix.epoch = job.epoch;
  prefix.samples = job.samples;
  const auto sequences = static_cast<ptrdiff_t>(sequence_count);
  prefix.sequence_offsets.assign(job.sequence_offsets.begin(),
                                 job.sequence_offsets.begin() + sequences + 1);
  prefix.token_ids.assign(job.token_ids.begin(), job.token_ids.begin() + prefix.token_count());
  prefix.row_offsets.assign(job.row_offsets.begin(), job.row_offsets.begin() + sequences + 1);
  prefix.positions.assign(job.positions.begin(), job.positions.begin() + prefix.row_count());
  prefix.sample_index.assign(job.sample_index.begin(), job.sample_index.begin() + sequences);
  prefix.sample_keys.assign(job.sample_keys.begin(), job.sample_keys.begin() + sequences);
  for (const BatchRange& batch : job.batches) {
    if (batch.end_sequence <= sequence_count) prefix.batches.push_back(batch);
  }
  return prefix;
}

EngineBatch::EngineBatch(const UnitJob& job, const BatchRange& range) {
  const auto first = static_cast<size_t>(range.first_sequence);
  const auto end = static_cast<size_t>(range.end_sequence);
  const int64_t first_token = job.sequence_offsets[first];
  token_ids_ = std::span(job.token_ids)
                   .subspan(static_cast<size_t>(first_token),
                            static_cast<size_t>(job.sequence_offsets[end] - first_token));
  sequence_offsets_.push_back(0);
  for (size_t sequence = first; sequence < end; ++sequence) {
    const int64_t offset = sequence_offsets_.back();
    for (int64_t row = job.row_offsets[sequence]; row < job.row_offsets[sequence + 1]; ++row) {
      const int64_t token = offset + job.positions[static_cast<size_t>(row)];
      stored_tokens_.push_back(static_cast<int32_t>(token));
    }
    sequence_offsets_.push_back(job.sequence_offsets[sequence + 1] - first_token);
  }
}

PackedBatch EngineBatch::packed() const {
  PackedBatch packed{.token_ids = token_ids_, .sequence_offsets = sequence_offsets_};
  if (stored_tokens_.size() < token_ids_.size()) packed.stored_tokens = stored_tokens_;
  return packed;
}

std::vector<BatchRange> PackBatches(std::span<const int64_t> sequence_offsets,
                                    int64_t max_batch_tokens) {
  std::vector<BatchRange> batches;
  const auto sequence_count = static_cast<int64_t>(sequence_offsets.size()) - 1;
  int64_t first = 0;
  while (first < sequence_count) {
    const int64_t limit = sequence_offsets[static_cast<size_t>(first)] + max_batch_tokens;
    int64_t end = first + 1;
    while (end < sequence_count && sequence_offsets[static_cast<size_t>(end + 1)] <= limit) ++end;
    batches.push_back({first, end});
    first = end;
  }
  return batches;
}

}  // namespace thresher
