#ifndef THRESHER_EXTRACT_UNIT_JOB_H_
#define THRESHER_EXTRACT_UNIT_JOB_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/trace.h"
#include "engine/engine.h"
#include "sample/sample_set.h"
#include "work/plan.h"
#include "work/records.h"

namespace thresher {

// A range of sequences that goes through the engine together.
struct BatchRange {
  int64_t first_sequence = 0;
  int64_t end_sequence = 0;
};

// A claimed unit, tokenised: everything that decides the layout and content of its shard.
struct UnitJob {
  int64_t unit = 0;
  int64_t epoch = 0;
  SampleRange samples;
  std::vector<int32_t> token_ids;               // [tokens], sequence after sequence
  std::vector<int64_t> sequence_offsets = {0};  // [sequences + 1]
  // The tokens whose rows are stored: for sequence s, those at positions[row_offsets[s]] to
  // positions[row_offsets[s + 1] - 1] of it.
  std::vector<int64_t> row_offsets = {0};  // [sequences + 1]; does not fall
  std::vector<int32_t> positions;          // [rows]; ascending in each sequence
  std::vector<int64_t> sample_index;  // [sequences], ascending; equal for the parts of one sample
  std::vector<std::string> sample_keys;  // [sequences]; empty where the record has none
  std::vector<RejectedSample> rejected;
  int64_t truncated_count = 0;
  std::vector<BatchRange> batches;

  int64_t token_count() const { return sequence_offsets.back(); }
  int64_t row_count() const { return row_offsets.back(); }
  int64_t sequence_count() const { return static_cast<int64_t>(sample_index.size()); }
};

// The job of samples that have been read: `outcomes` are those of `range`, in order.
UnitJob MakeUnitJob(std::vector<SampleOrRejection> outcomes, int64_t unit, int64_t epoch,
                    SampleRange range);

// Reads and tokenises the samples `range`. What cannot be used is in `rejected`; an error means
// that the data set could not be read.
Result<UnitJob> TokeniseUnit(const SampleSet& samples, int64_t unit, int64_t epoch,
                             SampleRange range, TraceWriter* trace = nullptr);

// The job of the first `sequence_count` sequences alone, which must end with a batch.
UnitJob PrefixOf(const UnitJob& job, int64_t sequence_count);

// A batch of a unit as the engine takes it.
class EngineBatch {
 public:
  // `job` must outlive it.
  EngineBatch(const UnitJob& job, const BatchRange& range);

  // Borrowed.
  PackedBatch packed() const;

 private:
  std::span<const int32_t> token_ids_;
  std::vector<int64_t> sequence_offsets_;
  std::vector<int32_t> stored_tokens_;
};

// Whole sequences in order, as many as fit into `max_batch_tokens` each time, at least one: a pure
// function of the unit, so that every worker runs the same batches and stores the same bytes.
std::vector<BatchRange> PackBatches(std::span<const int64_t> sequence_offsets,
                                    int64_t max_batch_tokens);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_UNIT_JOB_H_
