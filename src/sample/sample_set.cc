#include "sample/sample_set.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "sample/settings_check.h"
#include "sample/settings_resolution.h"

namespace thresher {
namespace {

// Samples that a thread takes at a time.
constexpr int64_t kSamplesAtOnce = 8;

int64_t ThreadCount(int wanted, int64_t sample_count) {
  const int64_t threads =
      wanted > 0 ? wanted : std::max<int64_t>(1, std::thread::hardware_concurrency());
  return std::clamp<int64_t>(sample_count / kSamplesAtOnce, 1, threads);
}

// The columns of Parquet files that samples may be made of.
std::vector<std::string> WantedColumns(const SampleSettings& settings) {
  std::vector<std::string> columns = {"task_id", "id"};
  if (settings.column.empty()) {
    columns.insert(columns.end(), {"token_ids", "text", "messages", "examples", "train", "test"});
  } else {
    columns.push_back(settings.column);
  }
  if (settings.code_column.empty()) {
    columns.insert(columns.end(), {"code", "source"});
  } else {
    columns.push_back(settings.code_column);
  }
  return columns;
}

}  // namespace

Result<SampleSet> SampleSet::Open(const std::string& address, const std::string& model_directory,
                                  const SampleReaderOptions& options,
                                  const DatasetOptions& dataset_options) {
  RETURN_IF_ERROR(CheckSampleSettings(options.settings));
  DatasetOptions all_options = dataset_options;
  all_options.documents = options.settings.documents;
  all_options.columns = WantedColumns(options.settings);
  all_options.max_record_bytes = options.max_record_bytes;
  ASSIGN_OR_RETURN(Dataset dataset, Dataset::Open(address, all_options));
  SampleReaderOptions resolved = options;
  ASSIGN_OR_RETURN(resolved.settings,
                   ResolveSettings(dataset, options.settings,
                                   {.column = options.settings.column,
                                    .code_column = options.settings.code_column,
                                    .vocabulary_size = options.vocabulary_size,
                                    .max_record_bytes = options.max_record_bytes}));
  ASSIGN_OR_RETURN(SampleReader reader, SampleReader::Create(model_directory, resolved));
  return SampleSet(std::move(dataset), std::move(reader), options.threads);
}

Result<std::vector<SampleOrRejection>> SampleSet::Read(int64_t first, int64_t count,
                                                       TraceWriter* trace) const {
  std::vector<SampleOrRejection> samples(static_cast<size_t>(count));
  if (count == 0) return samples;
  const int64_t first_record = first / variants();
  const int64_t end_record = (first + count - 1) / variants() + 1;
  const auto read = [&] {
    const TraceSpan span(trace, "read");
    return dataset_.Read(first_record, end_record - first_record);
  };
  ASSIGN_OR_RETURN(const Records records, read());
  const TraceSpan span(trace, "tokenise");
  std::atomic<int64_t> next = 0;
  const auto work = [&] {
    for (int64_t begin = next.fetch_add(kSamplesAtOnce); begin < count;
         begin = next.fetch_add(kSamplesAtOnce)) {
      const int64_t end = std::min(begin + kSamplesAtOnce, count);
      for (int64_t i = begin; i < end; ++i) {
        samples[static_cast<size_t>(i)] = reader_.Read(SourceOf(first + i, records, first_record));
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int64_t i = ThreadCount(threads_, count); i > 1; --i) helpers.emplace_back(work);
    work();
  }
  return samples;
}

Result<SampleSet::Inspection> SampleSet::Inspect(int64_t sample) const {
  const int64_t record = sample / variants();
  ASSIGN_OR_RETURN(const Records records, dataset_.Read(record, 1));
  const SampleReader::Source source = SourceOf(sample, records, record);
  return Inspection{.record_index = record,
                    .variant = source.variant,
                    .location = source.location,
                    .outcome = reader_.Inspect(source)};
}

SampleReader::Source SampleSet::SourceOf(int64_t sample, const Records& records,
                                         int64_t first_record) const {
  const int64_t record = sample / variants();
  return {.record = records[record - first_record],
          .location = records.Location(record - first_record),
          .record_index = record,
          .variant = sample % variants()};
}

Result<std::string> SampleSet::FingerprintOfFirst(int64_t sample_count) const {
  return dataset_.FingerprintOfFirst((sample_count + variants() - 1) / variants());
}

}  // namespace thresher
