#ifndef THRESHER_SAMPLE_SAMPLE_SET_H_
#define THRESHER_SAMPLE_SAMPLE_SET_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/trace.h"
#include "dataset/dataset.h"
#include "sample/sample_reader.h"

namespace thresher {

// The samples of a data set: sample s is variant s % variants of record s / variants. Its order
// never depends on who reads it. Immutable; thread-safe.
class SampleSet {
 public:
  // `address`: whatever Dataset::Open takes. Of `dataset_options`, documents and max_record_bytes
  // are replaced by what `options` says. What the
  // settings leave open (variants 0, an empty augment) is resolved by ResolveSettings; the reader's
  // settings have the result.
  static Result<SampleSet> Open(const std::string& address, const std::string& model_directory,
                                const SampleReaderOptions& options,
                                const DatasetOptions& dataset_options = {});

  int64_t sample_count() const { return dataset_.record_count() * variants(); }

  // Samples [first, first + count), which must exist. An error means that the data set could not be
  // read, or is no longer what it was; what is wrong with a record is its samples' rejection. Works
  // on the options' number of threads; the result does not depend on it. `trace` (may be null) gets
  // the spans "read" and "tokenise".
  Result<std::vector<SampleOrRejection>> Read(int64_t first, int64_t count,
                                              TraceWriter* trace = nullptr) const;

  // One sample, which must exist, for people.
  struct Inspection {
    int64_t record_index = 0;
    int64_t variant = 0;
    std::string location;             // "tasks.jsonl:17"
    Result<InspectedSample> outcome;  // not ok: why it is rejected
  };
  Result<Inspection> Inspect(int64_t sample) const;

  // The length of the text of the sample's record, known without reading it.
  int64_t RecordBytes(int64_t sample) const { return dataset_.RecordBytes(sample / variants()); }

  // Of the records that the first `sample_count` samples are made of.
  Result<std::string> FingerprintOfFirst(int64_t sample_count) const;

  const SampleReader& reader() const { return reader_; }
  const std::string& address() const { return dataset_.address(); }
  // Dataset::Describe.
  std::string DescribeDataset() const { return dataset_.Describe(); }

 private:
  SampleSet(Dataset dataset, SampleReader reader, int threads)
      : dataset_(std::move(dataset)), reader_(std::move(reader)), threads_(threads) {}

  SampleReader::Source SourceOf(int64_t sample, const Records& records, int64_t first_record) const;

  int64_t variants() const { return reader_.settings().variants; }

  Dataset dataset_;
  SampleReader reader_;
  int threads_;
};

}  // namespace thresher

#endif  // THRESHER_SAMPLE_SAMPLE_SET_H_
