#ifndef THRESHER_EXTRACT_UNIT_JOB_H_
#define THRESHER_EXTRACT_UNIT_JOB_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dataset/dataset.h"
#include "dataset/sample_reader.h"
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
  std::vector<int64_t> sample_index;            // [sequences]
  std::vector<std::string> sample_keys;         // [sequences]; empty where the record has none
  std::vector<RejectedSample> rejected;
  int64_t truncated_count = 0;
  std::vector<BatchRange> batches;

  int64_t token_count() const { return sequence_offsets.back(); }
  int64_t sequence_count() const { return static_cast<int64_t>(sample_index.size()); }
};

// Reads and tokenises the samples. What cannot be used is in `rejected`.
UnitJob TokeniseUnit(const Dataset& dataset, const SampleReader& reader, int64_t unit,
                     int64_t epoch, SampleRange samples);

// The job of the first `sequence_count` sequences alone, which must end with a batch.
UnitJob PrefixOf(const UnitJob& job, int64_t sequence_count);

// Whole sequences in order, as many as fit into `max_batch_tokens` each time, at least one: a pure
// function of the unit, so that every worker runs the same batches and stores the same bytes.
std::vector<BatchRange> PackBatches(std::span<const int64_t> sequence_offsets,
                                    int64_t max_batch_tokens);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_UNIT_JOB_H_
