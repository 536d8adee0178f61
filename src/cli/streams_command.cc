#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/output_file.h"
#include "cli/progress_line.h"
#include "cli/row_pass.h"
#include "cli/row_pass_flags.h"
#include "cli/store_command.h"

namespace thresher {
namespace {

constexpr const char* kExamples = R"(Examples:
  thresher streams tasks.jsonl --streams 32 --output-dir streams
  thresher extract --dataset streams/stream_003.jsonl --worker-id 3 ...

Splits a data set into files of consecutive rows, stream_000.jsonl, stream_001.jsonl and so on,
whose sizes differ by one row at most, and writes dataset_metadata.json last. Rows are copied byte
for byte, one a line; documents of plain text become {"text": ..}. A row that is no JSON object, or
whose task_id or id an earlier row has, is left out and listed with its reason.

Not needed for several workers: `thresher extract` splits one data set among them by itself.

Exit status: 0 done, 1 error, 2 wrong usage, 3 done, but rows were left out.)";

constexpr const char* kMetadataName = "dataset_metadata.json";

struct StreamsSettings : RowPassSettings {
  std::string output_folder;
  int64_t stream_count = 0;
};

// The pattern of the first users' scripts: at least three digits.
std::string StreamName(int64_t stream) { return fmt::format("stream_{:03}.jsonl", stream); }

// Samples [first, first + count) of all streams.
struct Stream {
  int64_t first = 0;
  int64_t count = 0;
};

// The first streams have one sample more where the number does not divide.
Stream StreamOf(int64_t stream, int64_t stream_count, int64_t sample_count) {
  const int64_t larger_count = sample_count % stream_count;
  const int64_t smaller = sample_count / stream_count;
  return {.first = stream * smaller + std::min(stream, larger_count),
          .count = smaller + (stream < larger_count ? 1 : 0)};
}

// Creates the folder. Streams of an earlier split are written over; those that this split would
// leave standing are an error: they would pass for a part of it.
Status PrepareFolder(const std::string& folder, int64_t stream_count) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return InvalidArgument("cannot create the folder \"" + folder + "\": " + error.message());
  }
  std::set<std::string> names;
  for (int64_t stream = 0; stream < stream_count; ++stream) names.insert(StreamName(stream));
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("stream_") && name.ends_with(".jsonl") && !names.contains(name)) {
      return FailedPrecondition(fmt::format(
          "{} holds {} of another split, which would pass for a part of this one; remove its "
          "stream files, or choose another --output-dir",
          folder, name));
    }
  }
  if (error) return InvalidArgument("cannot list \"" + folder + "\": " + error.message());
  // From here on, until the new one is written, no metadata vouches for the files.
  std::filesystem::remove(folder + "/" + kMetadataName, error);
  return OkStatus();
}

RowResult CheckRow(const Record& record) {
  if (!record.is_json) return {.error = CheckRowLength(record).message()};
  const Result<nlohmann::json> json = ParseRow(record);
  if (!json.ok()) return {.error = json.status().message()};
  Result<std::string> id = ReadRowId(*json, "");
  if (!id.ok()) return {.error = id.status().message()};
  return {.id = std::move(id).value()};
}

// One line of a stream file, without its end.
std::string LineOf(const Record& record) {
  if (!record.is_json) {
    return nlohmann::json{{"text", record.text}}.dump(-1, ' ', false,
                                                      nlohmann::json::error_handler_t::replace);
  }
  // In JSON, a line break can only stand where a space can.
  std::string line(record.text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::replace(line.begin(), line.end(), '\r', ' ');
  return line;
}

struct CheckedRows {
  std::vector<int64_t> left_out;  // ascending
  int64_t rows_without_id = 0;
};

Result<CheckedRows> CheckRows(const Dataset& dataset, RowRange range,
                              const StreamsSettings& settings, ProgressLine& progress,
                              RejectedRows& rejected) {
  CheckedRows checked;
  UsedIds ids(settings.on_duplicate);
  int64_t bytes = 0;
  const auto take = [&](RowResult result, int64_t row, const std::string& location) -> Status {
    bytes += dataset.RecordBytes(row);
    progress.Update(row - range.first + 1, bytes);
    if (result.error.empty() && result.id.empty()) ++checked.rows_without_id;
    if (result.error.empty() && !result.id.empty()) {
      result.error = ids.Claim(result.id, row).status().message();
    }
    if (result.error.empty()) return OkStatus();
    checked.left_out.push_back(row);
    progress.Clear();
    return rejected.Add(row, location, result.error);
  };
  RETURN_IF_ERROR(ForEachRow(
      dataset, range, [](const Record& record, int64_t) { return CheckRow(record); }, take));
  return checked;
}

// Writes the streams one after the other.
class StreamWriter {
 public:
  StreamWriter(const StreamsSettings& settings, int64_t sample_count)
      : settings_(settings), sample_count_(sample_count) {}

  Status Write(const std::string& line) {
    if (!file_) {
      const std::string name = StreamName(stream_);
      ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(settings_.output_folder + "/" + name));
      file_.emplace(std::move(file));
      rest_ = StreamOf(stream_, settings_.stream_count, sample_count_).count;
    }
    RETURN_IF_ERROR(file_->Write(line));
    RETURN_IF_ERROR(file_->Write("\n"));
    if (--rest_ > 0) return OkStatus();
    RETURN_IF_ERROR(file_->Commit(/*durable=*/false));
    file_.reset();
    ++stream_;
    return OkStatus();
  }

 private:
  const StreamsSettings& settings_;
  const int64_t sample_count_;
  int64_t stream_ = 0;
  int64_t rest_ = 0;
  std::optional<OutputFile> file_;
};

Status WriteStreams(const Dataset& dataset, RowRange range, const StreamsSettings& settings,
                    const std::vector<int64_t>& left_out, ProgressLine& progress) {
  StreamWriter writer(settings, range.count() - static_cast<int64_t>(left_out.size()));
  auto next_left_out = left_out.begin();
  int64_t bytes = 0;
  const auto take = [&](const RowResult& result, int64_t row, const std::string&) -> Status {
    bytes += dataset.RecordBytes(row);
    progress.Update(row - range.first + 1, bytes);
    if (next_left_out != left_out.end() && *next_left_out == row) {
      ++next_left_out;
      return OkStatus();
    }
    return writer.Write(result.text);
  };
  RETURN_IF_ERROR(ForEachRow(
      dataset, range,
      [](const Record& record, int64_t) { return RowResult{.text = LineOf(record)}; }, take));
  return SyncFileSystem(settings.output_folder);
}

Status WriteMetadata(const StreamsSettings& settings, RowRange range, int64_t sample_count) {
  nlohmann::ordered_json metadata = {
      {"source", settings.dataset},
      {"first_row", range.first},
      {"end_row", range.end},
      {"total_samples", sample_count},
      {"num_streams", settings.stream_count},
      {"samples_per_stream", StreamOf(0, settings.stream_count, sample_count).count}};
  nlohmann::ordered_json streams = nlohmann::ordered_json::array();
  for (int64_t stream = 0; stream < settings.stream_count; ++stream) {
    const Stream part = StreamOf(stream, settings.stream_count, sample_count);
    streams.push_back({{"stream_id", stream},
                       {"filename", StreamName(stream)},
                       {"start_idx", part.first},
                       {"end_idx", part.first + part.count},
                       {"num_samples", part.count}});
  }
  metadata["streams"] = std::move(streams);
  ASSIGN_OR_RETURN(OutputFile file,
                   OutputFile::Create(settings.output_folder + "/" + kMetadataName));
  RETURN_IF_ERROR(
      file.Write(metadata.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"));
  return file.Commit();
}

void PrintSummary(const StreamsSettings& settings, const CheckedRows& checked, int64_t sample_count,
                  int64_t elapsed_ms) {
  if (settings.quiet) return;
  const double seconds = static_cast<double>(std::max<int64_t>(1, elapsed_ms)) / 1000;
  const Stream largest = StreamOf(0, settings.stream_count, sample_count);
  const Stream smallest = StreamOf(settings.stream_count - 1, settings.stream_count, sample_count);
  std::fprintf(stderr, "%s\n",
               fmt::format("{} samples in {} streams of {} to {}, {} rows left out; {}; {:.1f} s",
                           FormatCount(sample_count), FormatCount(settings.stream_count),
                           FormatCount(smallest.count), FormatCount(largest.count),
                           FormatCount(static_cast<int64_t>(checked.left_out.size())),
                           settings.output_folder, seconds)
                   .c_str());
  if (checked.rows_without_id > 0) {
    std::fprintf(stderr,
                 "%s samples have neither task_id nor id: only stream and row tell them apart\n",
                 FormatCount(checked.rows_without_id).c_str());
  }
}

Result<int> Split(const StreamsSettings& settings, const StoreOptions& store_options) {
  DatasetOptions dataset_options;
  dataset_options.store = store_options;
  ASSIGN_OR_RETURN(const Dataset dataset, Dataset::Open(settings.dataset, dataset_options));
  const Result<RowRange> parsed_range =
      ParseRowRange(settings.range, dataset.record_count(), settings.max_samples);
  if (!parsed_range.ok()) return ReportUsageError(parsed_range.status());
  const RowRange range = *parsed_range;
  ASSIGN_OR_RETURN(RejectedRows rejected, RejectedRows::Create(settings.rejected, settings.fail));
  ProgressLine checking(
      Clock::Real(),
      {.verb = "checked", .noun = "rows", .total = range.count(), .quiet = settings.quiet});
  ASSIGN_OR_RETURN(const CheckedRows checked,
                   CheckRows(dataset, range, settings, checking, rejected));
  checking.Clear();
  RETURN_IF_ERROR(rejected.Finish());
  const int64_t sample_count = range.count() - static_cast<int64_t>(checked.left_out.size());
  if (sample_count < settings.stream_count) {
    return InvalidArgument(fmt::format(
        "--streams {}: only {} samples, so that some streams would be empty; choose at most {}",
        settings.stream_count, sample_count, sample_count));
  }
  RETURN_IF_ERROR(PrepareFolder(settings.output_folder, settings.stream_count));
  ProgressLine writing(
      Clock::Real(),
      {.verb = "written", .noun = "rows", .total = range.count(), .quiet = settings.quiet});
  RETURN_IF_ERROR(WriteStreams(dataset, range, settings, checked.left_out, writing));
  RETURN_IF_ERROR(WriteMetadata(settings, range, sample_count));
  writing.Clear();
  PrintSummary(settings, checked, sample_count, checking.elapsed_ms());
  return static_cast<int>(checked.left_out.empty() ? kExitComplete : kExitExceptions);
}

}  // namespace

void AddStreamsCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("streams", "Split a data set into N stream files");
  auto settings = std::make_shared<StreamsSettings>();
  AddRowPassFlags(*command, /*can_rename=*/false, *settings);
  command->add_option("--streams", settings->stream_count, "How many files")
      ->required()
      ->check(CLI::PositiveNumber);
  command->add_option("--output-dir", settings->output_folder, "Folder for the files")->required();
  FinishStoreCommand(
      *command, kExamples, exit_status,
      [settings](const StoreOptions& store_options) { return Split(*settings, store_options); });
}

}  // namespace thresher
