#include "extract/unit_job.h"

#include <utility>
#include <variant>

namespace thresher {

UnitJob TokeniseUnit(const Dataset& dataset, const SampleReader& reader, int64_t unit,
                     int64_t epoch, SampleRange samples) {
  UnitJob job;
  job.unit = unit;
  job.epoch = epoch;
  job.samples = samples;
  for (int64_t index = samples.first; index < samples.end(); ++index) {
    SampleOrRejection read = reader.Read(dataset, index);
    if (auto* rejection = std::get_if<Rejection>(&read)) {
      job.rejected.push_back({index, std::move(rejection->reason)});
      continue;
    }
    Sample& sample = std::get<Sample>(read);
    job.token_ids.insert(job.token_ids.end(), sample.token_ids.begin(), sample.token_ids.end());
    job.sequence_offsets.push_back(static_cast<int64_t>(job.token_ids.size()));
    job.sample_index.push_back(index);
    job.sample_keys.push_back(std::move(sample.key));
    if (sample.truncated) ++job.truncated_count;
  }
  return job;
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
  prefix.sample_index.assign(job.sample_index.begin(), job.sample_index.begin() + sequences);
  prefix.sample_keys.assign(job.sample_keys.begin(), job.sample_keys.begin() + sequences);
  for (const BatchRange& batch : job.batches) {
    if (batch.end_sequence <= sequence_count) prefix.batches.push_back(batch);
  }
  return prefix;
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
